//go:build !profile

package main

// startProfile does nothing without the build tag profile.
func startProfile() {}
