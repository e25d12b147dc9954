package accesslog

// lineEnd ends a line as in nginx for Windows.
const lineEnd = "\r\n"
