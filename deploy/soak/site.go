package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"spillway/deploy/internal/instance"
	"spillway/deploy/internal/proc"
)

// A site is spillway with the processes of all services.
type site struct {
	*instance.Instance

	services []*service
	posts    string // file, as in ours
	mark     string // in the environment of all processes, as markName
}

func startSite(ctx context.Context, file string, services []*service, posts string) (*site, error) {
	s := &site{services: services, posts: posts, mark: fmt.Sprintf("%d-%d", os.Getpid(), time.Now().UnixNano())}
	var err error
	s.Instance, err = instance.Start(ctx, file, func(addr, admin string) string {
		return config(services, addr, admin, s.mark, false)
	})
	if err != nil {
		return nil, err
	}
	if err := s.until(ctx, func(now *status) bool { return now.ready(services) }); err != nil {
		s.ErrorLog(os.Stderr)
		s.Stop()
		return nil, err
	}
	return s, nil
}

func (s *site) reload(ctx context.Context, second bool) error {
	return s.Reload(ctx, config(s.services, s.Addr, s.Admin, s.mark, second))
}

// narrow is the service that takes one request at a time.
func (s *site) narrow() *service {
	for _, service := range s.services {
		if service.narrow {
			return service
		}
	}
	panic("soak: no service is narrow")
}

// status is what is wanted of /status.
type status struct {
	Upstreams []upstreamStatus
	Buffers   struct {
		InUse int64 `json:"in_use"`
	}
	Temp struct {
		InUse int64 `json:"in_use"`
		Files int
	}
}

type upstreamStatus struct {
	Name  string
	Idle  int `json:"idle_connections"`
	Queue struct{ Waiting int }
	Peers []peerStatus
}

type peerStatus struct {
	Address  string
	Inflight int
	Process  struct {
		PID   int
		State string
	}
}

// stateReady is that of a process that serves.
const stateReady = "ready"

func (s *status) has(pid int) bool {
	for _, u := range s.Upstreams {
		for _, p := range u.Peers {
			if p.Process.PID == pid {
				return true
			}
		}
	}
	return false
}

// ready says that each service has as many processes as it is to have.
func (s *status) ready(services []*service) bool {
	for i, u := range s.Upstreams {
		n := 0
		for _, p := range u.Peers {
			if p.Process.State == stateReady {
				n++
			}
		}
		if n < services[i].processes {
			return false
		}
	}
	return len(s.Upstreams) == len(services)
}

// idle are the connections to processes that are kept.
func (s *status) idle() int {
	n := 0
	for _, u := range s.Upstreams {
		n += u.Idle
	}
	return n
}

// until waits for a state.
func (s *site) until(ctx context.Context, there func(*status) bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		var now status
		if err := s.Status(ctx, &now); err != nil {
			return err
		}
		if there(&now) {
			return nil
		}
		select {
		case <-again.C:
		case <-s.Ended():
			return errors.New("spillway has ended")
		case <-ctx.Done():
			return fmt.Errorf("a state that does not come: %+v", now)
		}
	}
}

// usage is what spillway holds.
type usage struct {
	goroutines int
	files      int
	memory     int64 // resident
}

func (s *site) usage(ctx context.Context) (usage, error) {
	goroutines, err := s.Metric(ctx, "go_goroutines")
	if err != nil {
		return usage{}, err
	}
	u := usage{goroutines: int(goroutines)}
	if u.files, err = proc.Files(s.PID()); err != nil {
		return usage{}, err
	}
	u.memory, err = proc.RSS(s.PID())
	return u, err
}

// room is how many more goroutines, and how many more files, spillway may have than at the start, besides those of the
// connections that it keeps: processes that are on their way, and probes. A leak of a whole run is more.
const room = 24

// left is what spillway still holds of a load that is over: nothing, after a moment.
func (s *site) left(ctx context.Context, before usage) (leaks []string, after usage, err error) {
	for deadline := time.Now().Add(patience); ; pause(100 * time.Millisecond) {
		var now status
		if err := s.Status(ctx, &now); err != nil {
			return nil, after, err
		}
		if after, err = s.usage(ctx); err != nil {
			return nil, after, err
		}
		leaks = leaksOf(&now, before, after)
		if len(leaks) == 0 || time.Now().After(deadline) {
			break
		}
	}
	files, err := s.tempFiles()
	if err != nil {
		return nil, after, err
	}
	return append(leaks, files...), after, nil
}

func leaksOf(now *status, before, after usage) []string {
	var leaks []string
	leak := func(n int64, what string) {
		if n != 0 {
			leaks = append(leaks, fmt.Sprintf("%d %s", n, what))
		}
	}
	leak(now.Buffers.InUse, "bytes of buffers in use")
	leak(now.Temp.InUse, "bytes of spill files in use")
	leak(int64(now.Temp.Files), "spill files open")
	for _, u := range now.Upstreams {
		leak(int64(u.Queue.Waiting), "requests wait for "+u.Name)
		for _, p := range u.Peers {
			leak(int64(p.Inflight), "slots in use at "+u.Name+" "+p.Address)
		}
	}
	// A kept connection costs a file, and a goroutine at most.
	if limit := before.goroutines + now.idle() + room; after.goroutines > limit {
		leaks = append(leaks, fmt.Sprintf("%d goroutines, %d at the start", after.goroutines, before.goroutines))
	}
	if limit := before.files + now.idle() + room; after.files > limit {
		leaks = append(leaks, fmt.Sprintf("%d open files, %d at the start", after.files, before.files))
	}
	return leaks
}

// tempFiles are those of the folder of the spill files, and those that have no name any more.
func (s *site) tempFiles() ([]string, error) {
	var found []string
	err := filepath.WalkDir(filepath.Join(s.Folder, "temp"), func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			found = append(found, "file "+name)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	size, files, err := proc.OwnDeleted(s.PID())
	if files > 0 {
		found = append(found, fmt.Sprintf("%d deleted files with %d bytes", files, size))
	}
	return found, err
}

// survivors are the processes that are still there after spillway has ended.
func (s *site) survivors() ([]string, error) {
	var found []string
	for deadline := time.Now().Add(patience); ; pause(100 * time.Millisecond) {
		pids, err := proc.WithEnv(markName + "=" + s.mark)
		if err != nil || len(pids) == 0 {
			return nil, err
		}
		if time.Now().After(deadline) {
			for _, pid := range pids {
				found = append(found, fmt.Sprintf("process %d has outlived spillway", pid))
			}
			return found, nil
		}
	}
}

// repeated counts the POSTs that processes have had, and those that they have had more than once.
func (s *site) repeated() (posts, twice int, err error) {
	text, err := os.ReadFile(s.posts)
	if err != nil {
		return 0, 0, err
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if seen[line] {
			twice++
		}
		seen[line] = true
	}
	return len(seen), twice, nil
}
