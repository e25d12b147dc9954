package supervisor

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/windows"
)

// exitText says how a process ended. Large codes are NTSTATUS values, which are known and looked up in hex.
func exitText(state *os.ProcessState) string { return codeText(uint32(state.ExitCode())) }

// codeText returns "exit code 3221225477 (0xC0000005 access violation)".
func codeText(code uint32) string {
	text := "exit code " + strconv.FormatUint(uint64(code), 10)
	meaning, known := codeMeanings[windows.NTStatus(code)]
	switch {
	case known && code < 0x10000:
		text += " (" + meaning + ")"
	case known:
		text += fmt.Sprintf(" (0x%08X %s)", code, meaning)
	case code >= 0x40000000:
		text += fmt.Sprintf(" (0x%08X)", code)
	}
	return text
}

// codeMeanings are the codes with which Windows itself, a runtime library or the command interpreter ends a process.
var codeMeanings = map[windows.NTStatus]string{
	259:  "still active: the program ended with the code of a running one",
	9009: "cmd.exe: the command was not found",

	0x40000015: "fatal error of the application",              // STATUS_FATAL_APP_EXIT
	0x40010004: "terminated by a debugger or at log-off",      // DBG_TERMINATE_PROCESS
	0x40010005: "Ctrl+C",                                      // DBG_CONTROL_C
	0x4001000B: "Ctrl+Break",                                  // DBG_CONTROL_BREAK
	0x80000003: "breakpoint",                                  // STATUS_BREAKPOINT
	0xC0000005: "access violation",                            // STATUS_ACCESS_VIOLATION
	0xC0000006: "in-page error: its file could not be read",   // STATUS_IN_PAGE_ERROR
	0xC0000017: "out of memory",                               // STATUS_NO_MEMORY
	0xC000001D: "illegal instruction: built for another CPU?", // STATUS_ILLEGAL_INSTRUCTION
	0xC0000022: "access denied",                               // STATUS_ACCESS_DENIED
	0xC000007B: "invalid image: 32 and 64 bit DLLs mixed?",    // STATUS_INVALID_IMAGE_FORMAT
	0xC0000094: "integer division by zero",                    // STATUS_INTEGER_DIVIDE_BY_ZERO
	0xC0000096: "privileged instruction",                      // STATUS_PRIVILEGED_INSTRUCTION
	0xC00000FD: "stack overflow",                              // STATUS_STACK_OVERFLOW
	0xC000012D: "commit limit: memory and page file are full", // STATUS_COMMITMENT_LIMIT
	0xC0000135: "DLL not found",                               // STATUS_DLL_NOT_FOUND
	0xC0000138: "ordinal not found in a DLL",                  // STATUS_ORDINAL_NOT_FOUND
	0xC0000139: "entry point not found in a DLL",              // STATUS_ENTRYPOINT_NOT_FOUND
	0xC000013A: "Ctrl+C, Ctrl+Break or its console closed",    // STATUS_CONTROL_C_EXIT
	// Of a service usually the desktop heap: each process takes a part of it.
	0xC0000142: "DLL initialization failed; many processes of a service: desktop heap used up?", // STATUS_DLL_INIT_FAILED
	0xC0000374: "heap corruption",                                                               // STATUS_HEAP_CORRUPTION
	0xC0000409: "abort or stack buffer overrun",                                                 // STATUS_STACK_BUFFER_OVERRUN, also abort()
	0xC0000417: "invalid parameter to the C runtime",                                            // STATUS_INVALID_CRUNTIME_PARAMETER
	0xC0000420: "assertion failed",                                                              // STATUS_ASSERTION_FAILURE
	0xC0000602: "fail fast exception",                                                           // STATUS_FAIL_FAST_EXCEPTION
	0xC0150002: "side-by-side configuration: Visual C++ runtime not installed?",                 // STATUS_SXS_CANT_GEN_ACTCTX
	0xE0434352: ".NET exception",                                                                // CLR's EXCEPTION_COMPLUS
	0xE06D7363: "C++ exception",                                                                 // Visual C++'s, 0xE0 and "msc"
}
