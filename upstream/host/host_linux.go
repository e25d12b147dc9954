package host

import (
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

var errUnknownForm = errors.New("the kernel does not say it in a form that is known")

// allSockets joins the kernel's lists of sockets with the descriptors of all processes that we may look at.
func allSockets() ([]Socket, error) {
	found, err := allListening()
	if err != nil {
		return nil, err
	}
	pids := make(map[string]int, len(found)) // by the link of the descriptor
	for _, l := range found {
		pids[socketLink(l.inode)] = 0
	}
	findHolders(pids)
	sockets := make([]Socket, len(found))
	for i, l := range found {
		sockets[i] = Socket{Address: l.address, PID: pids[socketLink(l.inode)]}
	}
	return sockets, nil
}

// allListening asks the kernel, and reads its text files where it may not be asked, as in some containers.
func allListening() ([]listening, error) {
	v4, err4 := diagListening(unix.AF_INET)
	v6, err6 := diagListening(unix.AF_INET6)
	if err4 != nil || err6 != nil {
		return readListening()
	}
	return append(v4, v6...), nil
}

func readListening() ([]listening, error) {
	var found []listening
	for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(name)
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) && name == "/proc/net/tcp6" {
				continue // a kernel without IPv6
			}
			return nil, err
		}
		found = append(found, parseTCP(text)...)
	}
	return found, nil
}

func socketLink(inode string) string { return "socket:[" + inode + "]" }

// findHolders notes for each socket the process that has it; of several, such as a master and its workers, the first.
func findHolders(pids map[string]int) {
	for _, pid := range allPIDs() {
		folder := procFile(pid, "fd")
		entries, err := os.ReadDir(folder)
		if err != nil {
			continue // another user's, or gone meanwhile
		}
		for _, entry := range entries {
			link, err := os.Readlink(folder + "/" + entry.Name())
			if err != nil {
				continue
			}
			if first, ours := pids[link]; ours && (first == 0 || pid < first) {
				pids[link] = pid
			}
		}
	}
}

func procFile(pid int, name string) string { return "/proc/" + strconv.Itoa(pid) + "/" + name }

func allPIDs() []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

func allProcesses() ([]Process, error) {
	pids := allPIDs()
	if len(pids) == 0 {
		return nil, errors.New("/proc is not there")
	}
	processes := make([]Process, 0, len(pids))
	for _, pid := range pids {
		text, err := os.ReadFile(procFile(pid, "stat"))
		if err != nil {
			continue // gone meanwhile
		}
		if p, ok := parseStat(text); ok {
			processes = append(processes, p)
		}
	}
	return processes, nil
}

func lives(pid int) bool {
	text, err := os.ReadFile(procFile(pid, "stat"))
	return err == nil && parseLives(text)
}

func resident(pid int) (int64, error) {
	text, err := os.ReadFile(procFile(pid, "statm"))
	if err != nil {
		return 0, err
	}
	pages, ok := parseStatm(text)
	if !ok {
		return 0, errUnknownForm
	}
	return pages * int64(os.Getpagesize()), nil
}

func ephemeral() (Range, error) {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return Range{}, err
	}
	r, ok := parsePortRange(text)
	if !ok {
		return Range{}, errUnknownForm
	}
	return r, nil
}

func exclusions() ([]Exclusion, error) {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_reserved_ports")
	if err != nil {
		return nil, err
	}
	return parseReserved(text), nil
}

func fileLimit() (uint64, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	return limit.Cur, nil
}

func volumeOf(folder string) (Volume, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(folder, &fs); err != nil {
		return Volume{}, err
	}
	//nolint:unconvert // 32-bit systems have narrower fields
	kind, block, free, total := int64(fs.Type), int64(fs.Bsize), int64(fs.Bavail), int64(fs.Blocks)
	v := Volume{Kind: kindOf(kind), Free: free * block, Total: total * block}
	if v.Kind == Fixed && isRemovable(folder) {
		v.Kind = Removable
	}
	return v, nil
}

// kindOf tells the kind by the magic number of the file system, statfs(2).
func kindOf(magic int64) Kind {
	switch magic {
	case unix.TMPFS_MAGIC, unix.RAMFS_MAGIC:
		return InMemory
	case unix.NFS_SUPER_MAGIC, unix.SMB_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.AFS_SUPER_MAGIC,
		unix.CODA_SUPER_MAGIC, unix.V9FS_MAGIC, unix.CEPH_SUPER_MAGIC:
		return Network
	case unix.FUSE_SUPER_MAGIC:
		return Unknown // sshfs as well as a disk
	}
	return Fixed
}

// isRemovable asks the disk of the folder. A partition has no such file, but the disk above it.
func isRemovable(folder string) bool {
	var st unix.Stat_t
	if unix.Stat(folder, &st) != nil {
		return false
	}
	device := "/sys/dev/block/" + strconv.Itoa(int(unix.Major(st.Dev))) + ":" + strconv.Itoa(int(unix.Minor(st.Dev)))
	for _, name := range []string{"/removable", "/../removable"} {
		if text, err := os.ReadFile(device + name); err == nil {
			return strings.TrimSpace(string(text)) == "1"
		}
	}
	return false
}
