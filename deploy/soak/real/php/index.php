<?php
// Answers the orders of soak, as backend.go does.
$number = basename($_SERVER['PATH_INFO']);
$size = (int) $_GET['size'];
$status = (int) $_GET['status'];
$hash = hash('sha256', file_get_contents('php://input'));
usleep(1000 * (int) $_GET['wait']);
http_response_code($status);
header("X-Soak-Id: $number");
header('X-Soak-Pid: ' . getmypid());
header("X-Soak-Body: $hash");
header('Content-Type: text/plain');
if ($status == 204) {
    exit;
}
if (isset($_GET['declared'])) {
    header("Content-Length: $size");
}
if ($_SERVER['REQUEST_METHOD'] == 'HEAD') {
    exit;
}
$body = '';
for ($i = 0; strlen($body) < $size; $i++) {
    $body .= hash('sha256', "$number:$i");
}
echo substr($body, 0, $size);
