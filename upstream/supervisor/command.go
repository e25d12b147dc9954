package supervisor

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// command builds the command of one process, ready to be started but for its streams and its tree.
func (o *Options) command(number, port int) (*exec.Cmd, error) {
	expand := strings.NewReplacer("{port}", strconv.Itoa(port), "{process}", strconv.Itoa(number)).Replace
	args := make([]string, len(o.Command))
	for i, arg := range o.Command {
		args[i] = expand(arg)
	}
	path, err := o.lookPath(args[0])
	if err != nil {
		return nil, err
	}
	if err := checkArguments(path, args[1:]); err != nil {
		return nil, err
	}
	env := os.Environ()
	env = slices.DeleteFunc(env, func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return strings.EqualFold(name, "HTTP_PROXY")
	})
	// Sorted, so that a process sees the same environment at each launch. Of a name that is there twice exec takes the last.
	for _, name := range slices.Sorted(maps.Keys(o.Env)) {
		env = append(env, name+"="+expand(o.Env[name]))
	}
	return &exec.Cmd{Path: path, Args: args, Dir: o.Directory, Env: env}, nil // a nil Stdin is the null device
}

// lookPath returns the absolute path of the program. exec.LookPath refuses what it would find in the current folder only.
func (o *Options) lookPath(program string) (string, error) {
	if strings.ContainsAny(program, `/`+string(filepath.Separator)) && !filepath.IsAbs(program) {
		program = filepath.Join(o.Directory, program)
	}
	path, err := exec.LookPath(program)
	if err != nil {
		return "", fmt.Errorf("command %s: %w", program, err)
	}
	path, err = filepath.Abs(path) // PATH may hold relative folders
	if err != nil {
		return "", fmt.Errorf("command %s: %w", program, err)
	}
	return path, nil
}
