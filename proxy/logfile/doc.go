// Package logfile appends lines to a log file without ever making the caller wait.
//
// Write copies whole lines into a queue in memory; one goroutine moves what waits there to the file in large writes. When
// the disk hangs or is full, the queue fills up and further lines are dropped and counted; as soon as the file takes lines
// again, one line tells how many are missing at that place. A failed write is repeated until it succeeds; Options.Refused is
// told of the first.
//
// Each Write must carry complete lines, their line ends included. Any number of goroutines may write. The lock around the
// queue is held for one copy and never during I/O.
//
// With Options.Rotate the file is put aside by its size or age, compressed and in the end removed (rotate.go, tidy.go), between
// two lines and without loss. Somebody else may do it as well: whoever renames the file calls Reopen afterwards. On Windows
// the file is opened such that it can be renamed and deleted meanwhile. One path takes one Writer: two would put the file aside
// under each other's hands.
package logfile
