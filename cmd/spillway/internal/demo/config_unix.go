//go:build unix

package demo

import (
	"os"
	"strconv"
)

// ownSuffix keeps the users apart: all have the same folder for temporary files.
func ownSuffix() string { return "-" + strconv.Itoa(os.Getuid()) }
