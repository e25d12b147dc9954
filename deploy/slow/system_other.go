//go:build !linux

package main

import "errors"

func likeNetwork(uintptr, int) error { return errors.ErrUnsupported }

func freeDisk(string) (int64, error) { return 0, errors.ErrUnsupported }
