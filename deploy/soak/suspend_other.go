//go:build !unix

package main

import "errors"

func suspend(int) error { return errors.ErrUnsupported }
func resume(int) error  { return errors.ErrUnsupported }
