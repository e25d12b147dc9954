package supervisor

import (
	"fmt"
	"os"
	"strconv"
)

// exitText says how a process ended. Codes from 0x80000000 are NTSTATUS values, which are known and looked up in hex:
// 0xC0000005 is an access violation.
func exitText(state *os.ProcessState) string {
	code := uint32(state.ExitCode())
	text := "exit code " + strconv.FormatUint(uint64(code), 10)
	if code >= 0x80000000 {
		text += fmt.Sprintf(" (0x%08X)", code)
	}
	return text
}
