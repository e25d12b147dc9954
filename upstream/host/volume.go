package host

import "fmt"

// Kind says on what a folder lies.
type Kind string

// The kinds of volume that are told apart.
const (
	Fixed     Kind = "fixed"
	Removable Kind = "removable"
	Network   Kind = "network"
	InMemory  Kind = "memory" // tmpfs, a RAM disk: what is written there takes memory
	Unknown   Kind = "unknown"
)

// Volume is what a folder lies on.
type Volume struct {
	Kind        Kind
	Free, Total int64 // bytes, for the user that asks: a quota counts
}

// VolumeOf returns the volume of a folder that exists.
func VolumeOf(folder string) (Volume, error) {
	v, err := volumeOf(folder)
	if err != nil {
		return Volume{}, fmt.Errorf("volume of %s: %w", folder, err)
	}
	return v, nil
}

// FileLimit returns how many files and sockets this process may have open at once. What it starts may have another limit: Go
// raises its own to the highest that is allowed.
func FileLimit() (uint64, error) {
	n, err := fileLimit()
	if err != nil {
		return 0, fmt.Errorf("limit of open files: %w", err)
	}
	return n, nil
}
