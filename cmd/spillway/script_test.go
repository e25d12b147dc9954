//go:build linux && !race

package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What the command line says is written down in testdata/script, an archive of files for each case: its comment has the
// command and its exit status, then come the files that are there, then what is on stdout and stderr. $DIR stands for the
// current folder. Commands of which something is left running are in life_test.go.
func TestScript(t *testing.T) {
	names, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("got %d scripts, %v", len(names), err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			runScript(t, string(text))
		})
	}
}

func runScript(t *testing.T, text string) {
	t.Helper()
	comment, files := unpack(text)
	line := regexp.MustCompile(`(?m)^> spillway *(.*)$`).FindStringSubmatch(comment)
	if line == nil {
		t.Fatalf("no command in %q", comment)
	}
	dir := t.TempDir()
	for name, content := range files {
		if name == "stdout" || name == "stderr" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := strings.Fields(line[1])
	for i, arg := range args {
		args[i] = strings.Trim(arg, `"`)
	}

	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(t.Context(), program, args...)
	command.Dir, command.Stdout, command.Stderr = dir, &stdout, &stderr
	var failure *exec.ExitError
	if err := command.Run(); err != nil && !errors.As(err, &failure) {
		t.Fatal(err)
	}
	commit := regexp.MustCompile(`\+[0-9a-f]{12}\b`) // of the version, when the build is from a checkout
	seen := func(name string, b *bytes.Buffer) {
		t.Helper()
		got := commit.ReplaceAllString(strings.ReplaceAll(b.String(), dir, "$DIR"), "")
		if want := files[name]; got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
	}
	seen("stdout", &stdout)
	seen("stderr", &stderr)
	if got := fmt.Sprintf("exit %d", command.ProcessState.ExitCode()); !strings.Contains(comment, "\n"+got+"\n") {
		t.Errorf("got %s, want %s", got, comment)
	}
}

// unpack splits an archive in the txtar format: a comment, then files that begin with a line "-- NAME --".
func unpack(text string) (comment string, files map[string]string) {
	heads := regexp.MustCompile(`(?m)^-- (\S+) --\n`)
	files = map[string]string{}
	marks := heads.FindAllStringSubmatchIndex(text, -1)
	comment = text
	for i, mark := range marks {
		end := len(text)
		if i+1 < len(marks) {
			end = marks[i+1][0]
		}
		if i == 0 {
			comment = text[:mark[0]]
		}
		files[text[mark[2]:mark[3]]] = text[mark[1]:end]
	}
	return comment, files
}
