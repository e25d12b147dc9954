// Package winpath gives paths the form that all versions of Windows take. It serves those who open files by the system call,
// which package os does for everybody else. On other systems it is empty.
package winpath
