package configs

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// host is what distinguishes one sort of machine from another.
type host struct {
	windows bool
}

// CheckHost asks the machine whether it can run c: the kind of each backend runs on its system, the directory exists and can
// be read, the command exists and can be executed, the folder in which temp_path lies exists, spill files and logs can be written,
// the certificates of tls can be used, and control is a name of its system. It starts and creates nothing. What it reports may be different a moment later, so who starts a process has to
// handle its error all the same.
func (c *Config) CheckHost() Problems { return c.checkHost(host{windows: onWindows}) }

func (c *Config) checkHost(h host) Problems {
	k := checker{config: c}
	for _, s := range c.Servers {
		k.serverFiles(s)
	}
	for _, u := range c.Upstreams {
		k.tlsFiles(u)
		if u.Backend != nil {
			if k.kindOnHost(u, h) {
				k.directory(u.Backend)
			}
		}
	}
	k.tempPath()
	k.logFiles()
	k.control(h)
	return k.problems.sorted()
}

func (k *checker) directory(b *Backend) {
	_, err := os.ReadDir(b.Directory)
	if err != nil {
		k.refuse(b.Places.At("directory"), "%v", err)
	}
	if len(b.Command) > 0 && (err == nil || !isPath(b.Command[0])) { // a path may be looked for in the directory only
		k.executable(b)
	}
}

// isPath says whether a program is written with a separator, so that it is not looked for in PATH.
func isPath(name string) bool {
	return filepath.IsAbs(name) || strings.ContainsFunc(name, func(r rune) bool { return r < 0x80 && os.IsPathSeparator(uint8(r)) })
}

// executable looks for a program as the start of the process will: in PATH, or relative to the directory when it is written
// with a separator.
func (k *checker) executable(b *Backend) {
	name := b.Command[0]
	if isPath(name) {
		name = absolute(b.Directory, name)
	}
	_, err := exec.LookPath(name)
	if err == nil {
		return
	}
	if !isPath(b.Command[0]) {
		if _, here := exec.LookPath(filepath.Join(b.Directory, name)); here == nil {
			k.refuse(b.Places.At("command"), "%s is not in PATH but in the directory: write %s", quote(name), quote("."+string(filepath.Separator)+name))
			return
		}
	}
	k.refuse(b.Places.At("command"), "%v", err)
}
