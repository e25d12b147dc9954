package main

import "syscall"

// freeDisk returns the bytes that are left where a folder is.
func freeDisk(folder string) (int64, error) {
	var stat syscall.Statfs_t
	err := syscall.Statfs(folder, &stat)
	return int64(stat.Bavail) * stat.Bsize, err
}
