//go:build !linux && !windows

package doctor

import (
	"strconv"

	"spillway/upstream/host"
)

// system has no facts here.
type system struct{}

func collectSystem(*facts) system { return system{} }

func checkSystem(*facts) []Finding { return nil }

func describe(p host.Process) string { return p.String() }

func (*facts) endFix(p host.Process) string { return "kill " + strconv.Itoa(p.PID) }

func bindFix(error, int) string { return "ifconfig -a" }

func excludedFix([]int) string { return "" }

func (*facts) reserveFix([]int) string { return "" }

func writeFix(account string, f folder) string { return "sudo chown " + account + " '" + f.path + "'" }

// What a fix proposes.
const (
	tempExample = "/var/tmp/spillway"
	logExample  = "/var/log/spillway/error.log"
)
