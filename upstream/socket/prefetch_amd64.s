//go:build linux

#include "textflag.h"

// func prefetch(at, size uintptr)
TEXT ·prefetch(SB), NOSPLIT, $0-16
	MOVQ  at+0(FP), AX
	MOVQ  size+8(FP), CX
	TESTQ CX, CX
	JEQ   done

next:
	PREFETCHT0 (AX)
	ADDQ       $64, AX
	SUBQ       $64, CX
	JHI        next

done:
	RET
