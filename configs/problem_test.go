package configs_test

import (
	"errors"
	"flag"
	"os"
	"strings"
	"testing"

	"spillway/configs"
)

var update = flag.Bool("update", false, "write the messages of today into testdata/problems.txt")

// testdata/problems.txt holds the messages. A case begins with "=== title", goes on with a file, in which \x is an
// escaped byte, and ends with all of the file's problems, each behind "#! ".
func TestParse_ExplainsProblems(t *testing.T) {
	const file = "testdata/problems.txt"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var golden strings.Builder
	cases := strings.Split(string(data), "=== ")
	if len(cases) < 50 {
		t.Fatalf("got %d cases, want them all", len(cases))
	}
	golden.WriteString(cases[0])
	for _, c := range cases[1:] {
		title, body, _ := strings.Cut(c, "\n")
		text, want, _ := strings.Cut(body, "#! ")
		if want != "" {
			want = "#! " + want
		}
		got := problemsOf(text)
		golden.WriteString("=== " + title + "\n" + text + got)
		if !*update && got != want {
			t.Errorf("%s\n%s\ngot:\n%swant:\n%s", title, text, got, want)
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(golden.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// problemsOf returns the problems of a file as they are written in problems.txt.
func problemsOf(text string) string {
	text = strings.NewReplacer(`\xe4`, "\xe4", `\t`, "\t", "(nothing)\n", "").Replace(text)
	_, err := configs.Parse("s.yaml", []byte(text))
	if err == nil {
		return "#! none\n"
	}
	var problems configs.Problems
	if !errors.As(err, &problems) {
		return "#! not problems: " + err.Error() + "\n"
	}
	var lines strings.Builder
	for _, p := range problems {
		lines.WriteString("#! " + strings.TrimPrefix(p.String(), "s.yaml:") + "\n")
	}
	return lines.String()
}

func FuzzParse(f *testing.F) {
	for _, file := range []string{"examples/full.yaml", "examples/gunicorn.yaml", "examples/php-windows.yaml", "examples/uwsgi.yaml", "testdata/problems.txt"} {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for part := range strings.SplitSeq(string(data), "=== ") {
			f.Add([]byte(part))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := configs.Parse("s.yaml", data)
		if err == nil {
			if len(c.Servers) == 0 || len(c.Listeners()) == 0 {
				t.Errorf("got neither a server nor a problem")
			}
			return
		}
		var problems configs.Problems
		if !errors.As(err, &problems) || len(problems) == 0 {
			t.Fatalf("got %v, want problems", err)
		}
		for _, p := range problems {
			if p.Line < 1 || p.Message == "" || strings.ContainsAny(p.String(), "\r\n") {
				t.Errorf("got %q, want one line with a line number", p)
			}
		}
	})
}
