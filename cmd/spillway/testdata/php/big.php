<?php
// mb megabytes that the test computes too: lines of 64 bytes that count up.
header('X-Pid: ' . getmypid());
header('Content-Type: application/octet-stream');
$lines = (int) $_GET['mb'] << 14;
for ($block = 0; $block < $lines; $block += 1024) {
    $text = '';
    for ($line = $block; $line < $block + 1024; $line++) {
        $text .= sprintf("%063d\n", $line);
    }
    echo $text;
}
