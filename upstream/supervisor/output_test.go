package supervisor

import (
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func lines(input string) []string {
	var got []string
	readLines(iotest.OneByteReader(strings.NewReader(input)), func(line string) { got = append(got, line) })
	return got
}

func TestReadLines_CutsAndSkips(t *testing.T) {
	long := strings.Repeat("x", 3*maxLine)
	f := func(input string, want ...string) {
		t.Helper()
		if got := lines(input); !slices.Equal(got, want) {
			t.Errorf("%.40q: got %.40q, want %.40q", input, got, want)
		}
	}
	f("")
	f("a\nb\r\n", "a", "b")
	f("no end", "no end")
	f("\n \n\r\n\nx\n", "x")
	f(long+"\nnext\n", long[:maxLine], "next")
	f(long, long[:maxLine])
	f(long[:maxLine]+"\nnext", long[:maxLine], "next")
}

func FuzzReadLines(f *testing.F) {
	f.Add("a\nb\r\n\n")
	f.Add(strings.Repeat("x", maxLine) + "\r\ny")
	f.Fuzz(func(t *testing.T, input string) {
		for _, line := range lines(input) {
			if len(line) > maxLine || strings.Contains(line, "\n") || strings.TrimSpace(line) == "" || !strings.Contains(input, line) {
				t.Errorf("got line %q of %q", line, input)
			}
		}
	})
}
