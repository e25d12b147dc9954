package app

import (
	"strings"
	"time"
)

// ReloadStatus is how a reload ended.
type ReloadStatus struct {
	At    time.Time `json:"at"`
	Took  float64   `json:"took"`            // seconds
	Error string    `json:"error,omitempty"` // empty: its configuration serves
}

// reloads is what is known of them.
type reloads struct {
	last    *ReloadStatus // nil before the first
	counted map[string]int
}

// The results of a reload, which are values of a label.
const (
	resultDone    = "done"
	resultRefused = "refused"
)

func (a *App) noteReload(status *ReloadStatus) {
	a.mu.Lock()
	defer a.mu.Unlock()
	result := resultDone
	if status.Error != "" {
		result = resultRefused
	}
	a.reloads.last = status
	if a.reloads.counted == nil {
		a.reloads.counted = map[string]int{}
	}
	a.reloads.counted[result]++
}

// Refused notes a reload that did not come to Reload: the configuration could not be read, or is wrong. lines say why.
func (a *App) Refused(file string, lines []string) {
	for _, line := range lines {
		a.log.Error("configuration not reloaded", "file", file, "err", line)
	}
	a.noteReload(&ReloadStatus{At: time.Now(), Error: strings.Join(lines, "\n")})
}

// lastReload returns how the last reload ended, nil before the first.
func (a *App) lastReload() *ReloadStatus {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.reloads.last
}

func (a *App) countReloads(result string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.reloads.counted[result]
}

// successful is 1 for a reload that was, and before the first.
func (s *ReloadStatus) successful() float64 {
	if s != nil && s.Error != "" {
		return 0
	}
	return 1
}
