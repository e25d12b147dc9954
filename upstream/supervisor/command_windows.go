package supervisor

import (
	"fmt"
	"path/filepath"
	"strings"
)

// checkArguments refuses arguments that would not reach the program as they are. Windows runs a batch file with cmd.exe,
// whose quoting rules are not those by which Go writes the command line (the class of CVE-2024-24576).
func checkArguments(path string, args []string) error {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".bat", ".cmd":
	default:
		return nil
	}
	for _, arg := range args {
		if strings.ContainsAny(arg, "\"%^&|<>!\r\n") {
			return fmt.Errorf("command %s: argument %q cannot be handed to a batch file; name the program itself", path, arg)
		}
	}
	return nil
}
