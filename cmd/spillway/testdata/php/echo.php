<?php
// What arrived of the request's body: its length and its SHA-1.
header('X-Pid: ' . getmypid());
header('Content-Type: text/plain');
$body = fopen('php://input', 'rb');
$hash = hash_init('sha1');
$length = hash_update_stream($hash, $body);
echo $length, ' ', hash_final($hash), "\n";
