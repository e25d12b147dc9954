package errorlog

// lineEnd ends a line of nginx's error log.
const lineEnd = "\r\n"

// callName is the name under which nginx logs an operation on a file.
func callName(operation string) string {
	switch operation {
	case "open":
		return "CreateFile()"
	case "write":
		return "WriteFile()"
	case "read":
		return "ReadFile()"
	case "remove":
		return "DeleteFile()"
	case "mkdir":
		return "CreateDirectory()"
	default:
		return operation + "()"
	}
}
