//go:build profile

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"time"
)

// profileLength is that of one profile: whatever way the program ends, only the last one is lost.
const profileLength = time.Second

// startProfile lets the program write CPU profiles of itself, one after the other, to the folder that SPILLWAY_PROFILE names.
// deploy/bench/profile makes default.pgo from them.
func startProfile() {
	if folder := os.Getenv("SPILLWAY_PROFILE"); folder != "" {
		go profile(folder) // ends with the program, or when it cannot write
	}
}

func profile(folder string) {
	var text bytes.Buffer
	tick := time.Tick(profileLength)
	for n := 0; ; n++ {
		text.Reset()
		if err := pprof.StartCPUProfile(&text); err != nil {
			complain(os.Stderr, err)
			return
		}
		<-tick
		pprof.StopCPUProfile()
		name := filepath.Join(folder, fmt.Sprintf("%d-%d.pprof", os.Getpid(), n))
		if err := os.WriteFile(name, text.Bytes(), 0o600); err != nil {
			complain(os.Stderr, err)
			return
		}
	}
}
