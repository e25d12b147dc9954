<?php
// Five lines, one every 100 ms, each sent at once.
header('X-Pid: ' . getmypid());
for ($i = 0; $i < 5; $i++) {
    echo "line $i\n";
    flush();
    usleep(100000);
}
