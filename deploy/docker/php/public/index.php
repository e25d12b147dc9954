<?php
header('Content-Type: text/plain');
echo 'php ', PHP_VERSION, ', process ', getmypid(), "\n";
