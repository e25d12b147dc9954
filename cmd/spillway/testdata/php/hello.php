<?php
// The shortest answer; the field says which process made it.
header('X-Pid: ' . getmypid());
echo "hello from php\n";
