//go:build unix

package control

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
)

// maxSocketPath is what fits into sockaddr_un of every Unix: 104 bytes with the zero at the end.
const maxSocketPath = 103

// folded returns the path as it is: names differ by case.
func folded(path string) string { return path }

// addresses returns the sockets that an instance of this account may listen on, the best one first.
func (p Place) addresses() ([]string, error) {
	if p.address != "" {
		if len(p.address) > maxSocketPath {
			return nil, fmt.Errorf("control: %s: a socket's path has at most %d bytes, this one %d", p.address, maxSocketPath, len(p.address))
		}
		return []string{p.address}, nil
	}
	var all []string
	for _, folder := range folders() {
		if path := filepath.Join(folder, p.name()+".sock"); len(path) <= maxSocketPath {
			all = append(all, path)
		}
	}
	return all, nil
}

// folders are where sockets of this account go.
func folders() []string {
	var all []string
	if systemd, _, _ := strings.Cut(os.Getenv("RUNTIME_DIRECTORY"), ":"); filepath.IsAbs(systemd) {
		all = append(all, systemd)
	}
	if os.Geteuid() == 0 {
		all = append(all, rootFolder)
	} else if session := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(session) {
		all = append(all, filepath.Join(session, "spillway"))
	}
	own := "spillway-" + itoa(os.Geteuid())
	return append(all, filepath.Join(os.TempDir(), own), "/tmp/"+own) // TMPDIR may be too long a path
}

// rootFolder is where root's instances are.
const rootFolder = "/run/spillway"

// prepareFolder makes the folder of a derived address, and refuses one in which somebody else can put things.
func (p Place) prepareFolder(address string) error {
	if p.address != "" {
		return nil // the operator's own choice
	}
	folder := filepath.Dir(address)
	if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(folder)
	if err != nil {
		return err
	}
	switch {
	case !info.IsDir():
		return fmt.Errorf("%s is no folder", folder)
	case owner(info) != os.Geteuid():
		return fmt.Errorf("%s belongs to %s", folder, accountName(owner(info)))
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("%s can be written to by others: chmod 0700 %s", folder, folder)
	}
	return nil
}

// candidates returns the sockets at which a client may find an instance: those of its own account first, then what others
// can have. In a folder that everybody can write to, a socket counts only when it is whose the folder says.
func (p Place) candidates() []string {
	var all []string
	if p.address != "" {
		all = append(all, p.address)
	}
	derived := Place{Path: p.Path}
	own, _ := derived.addresses()
	all = append(all, own...)
	file := p.name() + ".sock"
	all = append(all, filepath.Join(rootFolder, file), fmt.Sprintf("/run/user/%d/spillway/%s", os.Geteuid(), file))
	patterns := []string{"/run/*/" + file} // RuntimeDirectory of a systemd unit
	if os.Geteuid() == 0 {
		patterns = append(patterns, "/run/user/*/spillway/"+file, filepath.Join(os.TempDir(), "spillway-*", file),
			"/tmp/spillway-*/"+file)
	}
	for _, pattern := range patterns {
		found, _ := filepath.Glob(pattern) // its only error is a pattern that is none
		all = append(all, found...)
	}
	return all
}

// trusted says whether the folder and the socket in it belong to the same account, so that nobody has put it there for him.
func (p Place) trusted(address string) bool {
	if address == p.address {
		return true
	}
	folder, err := os.Lstat(filepath.Dir(address))
	if err != nil {
		return true // connecting will say
	}
	socket, err := os.Lstat(address)
	if err != nil {
		return true
	}
	known := owner(folder) == os.Geteuid() || os.Geteuid() == 0 || owner(folder) == 0 ||
		strings.HasPrefix(address, "/run/") // where root says whose a folder is
	closed := owner(folder) == 0 && folder.Mode().Perm()&0o022 == 0 // what is in it, root has let in; not so in /run/lock
	return folder.IsDir() && known && (owner(socket) == owner(folder) || closed)
}

// owner returns whose a file is.
func owner(info fs.FileInfo) int {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Uid)
	}
	return -1
}

// accountName is how people call an account.
func accountName(uid int) string {
	if found, err := user.LookupId(itoa(uid)); err == nil {
		return found.Username
	}
	return "uid " + itoa(uid)
}
