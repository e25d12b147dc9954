package accesslog_test

const lineEnd = "\r\n"
