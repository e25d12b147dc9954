//go:build !linux

package network

import "errors"

func likeNetwork(uintptr, bool) error { return errors.ErrUnsupported }
