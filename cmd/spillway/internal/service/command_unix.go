//go:build unix

package service

import (
	"errors"
	"io"
)

// errSystemd is the answer to every command of Command.
var errSystemd = errors.New("service: this system has no Windows service manager; deploy/systemd has a unit for systemd " +
	"(systemctl enable --now spillway)")

func available() error { return errSystemd }

// localSystem is an account that may write everywhere.
const localSystem = "root"

// Install installs a service on Windows.
func Install(*Options, io.Writer) (done bool, err error) { return false, errSystemd }

// Uninstall removes one on Windows.
func Uninstall(string, io.Writer) error { return errSystemd }

// Start starts one on Windows.
func Start(string, io.Writer) error { return errSystemd }

// Stop stops one on Windows.
func Stop(string, io.Writer) error { return errSystemd }

// Reload has one on Windows read its configuration anew.
func Reload(string, io.Writer) error { return errSystemd }

// Status tells the state of one on Windows.
func Status(string, io.Writer) error { return errSystemd }
