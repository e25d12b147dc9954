//go:build unix

package supervisor

import "testing"

func FuzzGuardLine(f *testing.F) {
	f.Add("add 4711")
	f.Add("del 2")
	f.Add("add -1")
	f.Add("add 0")
	f.Add("kill 5")
	f.Fuzz(func(t *testing.T, line string) {
		verb, pgid, ok := parseGuardLine(line)
		if ok && (pgid < 2 || verb != "add" && verb != "del") {
			t.Errorf("%q: got %s %d", line, verb, pgid)
		}
	})
}
