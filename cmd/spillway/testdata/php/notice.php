<?php
// A line in stderr beside a good answer, as PHP's notices are.
header('X-Pid: ' . getmypid());
error_log('a notice from php');
echo "noticed\n";
