package supervisor

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// watchEvery is the pause between two looks. A change is reported after a look that found none: within two to four seconds
	// of the last file of a deploy.
	watchEvery = 2 * time.Second

	// watchMost bounds what one Watch looks at. A look at that many files takes some 20 ms on Linux (BenchmarkWatch); on a network drive
	// it is a question for each folder.
	watchMost = 10_000
)

// Watch looks at files every two seconds and calls changed once for a change, with one of the paths that are different, when
// nothing has changed for a while: a deploy writes many files. It returns nil when ctx ends, and an error when there are too
// many files.
//
// A path is a file, a folder with all below it, or a pattern of filepath.Match, whose matches are files and folders again.
// Below a folder Watch passes over what a program writes itself: see neverCode. Links to folders are not followed there.
// A path that is missing is on its way: nothing is said when it goes, only when it comes, and comes different.
func Watch(ctx context.Context, paths []string, changed func(path string)) error {
	w := newWatch(paths)
	if _, err := w.look(); err != nil {
		return err
	}
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for pending := ""; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		different, err := w.look()
		if err != nil {
			return err
		}
		switch {
		case different != "":
			pending = different
		case pending != "":
			changed(pending)
			pending = ""
		}
	}
}

// watch is what one Watch knows.
type watch struct {
	paths []string
	most  int      // files that may be looked at
	seen  []stamps // of each path when it was there last; nil: it never was
}

func newWatch(paths []string) *watch {
	return &watch{paths: paths, most: watchMost, seen: make([]stamps, len(paths))}
}

// stamps are the files of a path.
type stamps map[string]stamp

// stamp is different when a file is. The times of folders do not count: they change with what neverCode passes over.
type stamp struct {
	modified int64 // ns of the Unix epoch
	size     int64
}

// look notes how the files are now and returns one that is different from the last look; "" is none.
func (w *watch) look() (different string, err error) {
	total := 0
	for i, path := range w.paths {
		now := stamps{}
		if !now.addPath(path, w.most) {
			total += len(w.seen[i])
			continue
		}
		if total += len(now); total > w.most {
			return "", fmt.Errorf("watch %s: more than %d files; name a file that each deploy touches, or fewer folders", path, w.most)
		}
		if different == "" {
			different = now.compare(w.seen[i])
		}
		w.seen[i] = now
	}
	return different, nil
}

// compare returns a path that is not the same in both; "" is none.
func (s stamps) compare(before stamps) string {
	for path, at := range s {
		if was, there := before[path]; !there || was != at {
			return path
		}
	}
	for path := range before {
		if _, there := s[path]; !there {
			return path
		}
	}
	return ""
}

// addPath adds what a path of Watch stands for, up to one file too many, and says whether it is there. What exists is no pattern, whatever its name.
func (s stamps) addPath(path string, most int) bool {
	info, err := os.Stat(path)
	if err == nil {
		s.add(path, info, most)
		return true
	}
	if !strings.ContainsAny(path, "*?[") {
		return false
	}
	matches, _ := filepath.Glob(path) // a pattern with a mistake matches nothing; who reads the configuration says so
	for _, match := range matches {
		if info, err := os.Stat(match); err == nil {
			s.add(match, info, most)
		}
	}
	return true
}

// add adds a file, or a folder with all below it, until there are too many.
func (s stamps) add(path string, info fs.FileInfo, most int) {
	if !info.IsDir() {
		s[path] = stamp{info.ModTime().UnixNano(), info.Size()}
		return
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return // gone meanwhile, or not ours to see
	}
	for _, entry := range entries {
		name := filepath.Join(path, entry.Name())
		if neverCode(entry.Name()) || len(s) > most {
			continue
		}
		if info, ok := target(name, entry); ok {
			s.add(name, info, most)
		}
	}
}

// target returns the file or folder of an entry; false for what is gone, no file, or a link to a folder, which may lead to a
// folder above.
func target(name string, entry fs.DirEntry) (fs.FileInfo, bool) {
	if entry.Type()&fs.ModeSymlink != 0 {
		info, err := os.Stat(name)
		return info, err == nil && info.Mode().IsRegular()
	}
	info, err := entry.Info()
	return info, err == nil && (info.IsDir() || info.Mode().IsRegular())
}

// neverCode says whether a file or folder of this name is none of the program's code, but something that the program, an
// editor or a version control writes while the code stays the same: a restart for it would never end.
func neverCode(name string) bool {
	switch name {
	case ".git", ".hg", ".svn", "__pycache__", "node_modules":
		return true
	}
	switch strings.ToLower(filepath.Ext(name)) {
	case ".pyc", ".pyo", ".log", ".tmp", ".swp", ".pid",
		".sqlite", ".sqlite3", ".db", ".sqlite3-journal", ".sqlite3-wal", ".sqlite3-shm", ".db-journal", ".db-wal", ".db-shm":
		return true
	}
	return strings.HasSuffix(name, "~") || strings.HasPrefix(name, ".#")
}
