//go:build linux

#include "textflag.h"

// func prefetch(at, size uintptr)
TEXT ·prefetch(SB), NOSPLIT, $0-16
	MOVD at+0(FP), R0
	MOVD size+8(FP), R1
	CBZ  R1, done

next:
	PRFM (R0), PLDL1KEEP
	ADD  $64, R0, R0
	SUBS $64, R1, R1
	BHI  next

done:
	RET
