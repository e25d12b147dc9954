package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"spillway/configs"
	"spillway/upstream/host"
)

// facts are what the checks judge. A fact that the machine did not tell has its zero value and an error in unknown.
type facts struct {
	config  *configs.Config // never nil; empty without a configuration
	given   bool            // there is a configuration
	program string          // name of spillway's own program, to know a running instance by
	account string          // that runs this

	unknown []error

	sockets    []host.Socket
	processes  []host.Process
	ephemeral  host.Range
	exclusions []host.Exclusion
	binding    map[string]error // what it said to bind each configured address
	expiry     configs.Problems // of certificates

	temp      folder
	logs      []folder
	localhost []netip.Addr // in the order of the system
	lookupEnv func(name string) (string, bool)

	system system
}

// folder is one that spillway writes to.
type folder struct {
	key    string // in the configuration
	path   string
	there  bool // it exists
	volume host.Volume
	err    error // of what was tried there
}

// lookupWait bounds the lookup of localhost, which the hosts file should answer at once.
const lookupWait = 5 * time.Second

func collect(config *configs.Config) *facts {
	f := &facts{config: config, given: config != nil, lookupEnv: os.LookupEnv, binding: map[string]error{}}
	if config == nil {
		f.config = new(configs.Config)
	}
	if exe, err := os.Executable(); err == nil {
		f.program = strings.TrimSuffix(filepath.Base(exe), ".exe")
	}
	f.account = ask(f, func() (string, error) {
		account, err := user.Current()
		if err != nil {
			return "", fmt.Errorf("account that runs this: %w", err)
		}
		return account.Username, nil
	})
	f.sockets = ask(f, host.Sockets)
	f.processes = ask(f, host.Processes)
	f.ephemeral = ask(f, host.Ephemeral)
	f.exclusions = ask(f, host.Exclusions)
	for _, l := range listens(f.config) {
		f.binding[l.address] = bind(l.network, l.address)
	}
	f.expiry = f.config.CheckExpiry()
	f.collectFolders()
	f.localhost = ask(f, lookupLocalhost)
	f.system = collectSystem(f)
	return f
}

// ask returns what question says, or notes that it is not known. What the system never tells is no news.
func ask[T any](f *facts, question func() (T, error)) T {
	answer, err := question()
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		f.unknown = append(f.unknown, err)
	}
	return answer
}

func checkUnknown(f *facts) (findings []Finding) {
	for _, err := range f.unknown {
		findings = append(findings, Finding{Severity: Note, Topic: "doctor", Text: "not known: " + err.Error()})
	}
	if !f.given {
		findings = append(findings, Finding{
			Severity: Note, Topic: "doctor", Text: "no configuration: its ports, folders and backends are not compared",
			Fix: "spillway doctor -c spillway.yaml",
		})
	}
	return findings
}

func lookupLocalhost() ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(context.Background(), lookupWait)
	defer cancel()
	return net.DefaultResolver.LookupNetIP(ctx, "ip", "localhost")
}

// bind tries an address and gives it up again.
func bind(network, address string) error {
	ln, err := new(net.ListenConfig).Listen(context.Background(), network, address)
	if err != nil {
		return err
	}
	return ln.Close()
}

// collectFolders asks about the folders that spillway writes to.
func (f *facts) collectFolders() {
	f.temp = folder{key: "temp_path", path: f.config.TempPath}
	if f.temp.path == "" {
		f.temp.path = os.TempDir()
	}
	f.temp.volume, f.temp.err = host.VolumeOf(existing(f.temp.path))

	files := []folder{{key: "access_log", path: f.config.AccessLog.Path}, {key: "error_log", path: f.config.ErrorLog.Path}}
	for _, u := range f.config.Upstreams {
		if u.Backend != nil {
			files = append(files, folder{key: "output of " + u.Name, path: u.Backend.Output.Path})
		}
	}
	for _, file := range files {
		if file.path == "" || file.path == configs.Stderr {
			continue
		}
		file.err = tryLog(file.path)
		file.path = filepath.Dir(file.path)
		file.there = existing(file.path) == file.path
		if slices.ContainsFunc(f.logs, func(l folder) bool { return l.path == file.path && l.err == nil && file.err == nil }) {
			continue
		}
		file.volume, _ = host.VolumeOf(existing(file.path)) // the error would be that of the file
		f.logs = append(f.logs, file)
	}
}

// existing returns the folder, or the nearest one above it that is there.
func existing(path string) string {
	for {
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			return path
		}
		above := filepath.Dir(path)
		if above == path {
			return path
		}
		path = above
	}
}

// tryLog finds out whether a log can be written: whether it can be opened when it is there, and whether a file can be created
// in its folder, as for its rotation. A folder that is missing is created by spillway, so the one above is tried.
func tryLog(path string) error {
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return err
		}
		file.Close()
	}
	file, err := os.CreateTemp(existing(filepath.Dir(path)), ".spillway-doctor-*")
	if err != nil {
		return err
	}
	file.Close()
	return os.Remove(file.Name())
}
