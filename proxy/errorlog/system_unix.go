//go:build unix

package errorlog

// lineEnd ends a line of nginx's error log.
const lineEnd = "\n"

// callName is the name under which nginx logs an operation on a file.
func callName(operation string) string {
	if operation == "write" {
		return "pwrite()"
	}
	return operation + "()"
}
