//go:build !linux && !windows

package host

import "errors"

func allSockets() ([]Socket, error)    { return nil, errors.ErrUnsupported }
func allProcesses() ([]Process, error) { return nil, errors.ErrUnsupported }
func resident(int) (int64, error)      { return 0, errors.ErrUnsupported }
func lives(int) bool                   { return false }
func ephemeral() (Range, error)        { return Range{}, errors.ErrUnsupported }
func exclusions() ([]Exclusion, error) { return nil, errors.ErrUnsupported }
func fileLimit() (uint64, error)       { return 0, errors.ErrUnsupported }
func volumeOf(string) (Volume, error)  { return Volume{}, errors.ErrUnsupported }
