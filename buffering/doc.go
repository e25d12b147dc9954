// Package buffering holds a body between a fast and a slow side: in memory buffers first, then in a spill file, so that
// a process behind spillway is never kept busy by a client that reads or sends slowly.
//
// An [Arena] owns the memory of the process, a [SpillDir] the disk, both with a budget. A [Pipe] carries one response
// body from the peer to the client; a [Body] holds one request body that can be sent more than once. The meaning of
// the limits is nginx's (src/event/ngx_event_pipe.c, src/http/ngx_http_request_body.c).
//
// # When a pipe spills
//
// The fill side uses the room of the last buffer; then it gets another buffer, up to N of them and within the budget of
// the arena. When all are full nginx asks whether the socket of the client is writable: if it is, the peer is not
// read until the client has taken something; if not, whole buffers go to the file. A pipe asks too, but has patience first:
//
//   - Waiting for the client is drawn from a credit of 20 ms per pipe (maxPatience).
//   - Every byte that the client takes pays back the time it takes at 8 MB/s (patientRate), up to the full credit.
//   - When the credit is used up the fill side asks the writer of the deliver side whether it takes more at the moment. If
//     so, the client is not what keeps the bytes, but a processor with much to do: it gets a new credit, up to 25 times in
//     a row (maxRenewals) without taking a byte. A writer that has no method Writable is taken to say no.
//   - Otherwise the fill side spills, without waiting or asking as long as bytes are left in the file: the peer runs at
//     its own speed. When the client has caught up with the file, memory comes first again.
//
// So a client that is faster than 8 MB/s on average, or only as slow as this machine lets it be, does not cause a spill,
// whatever the size of the body. For a slower one the peer waits 20 ms and what the client pays back meanwhile (at 1 MB/s
// 23 ms in all), then it is freed from the client. Each wait has a timer; there is none as long as a buffer has room.
//
// The order of the bytes is: what the deliver side has taken, the file, the other buffers. The file is emptied and its
// space given back to the disk budget each time that the client has caught up with it (nginx only ever lets it grow),
// so max_temp_file_size bounds what is in it, not what passes through it.
//
// What is in the file does not pass through memory again on its way to a client that can send it from there, such as a connection on
// Linux: other clients get it as much at a time as they do from memory.
//
// A disk that is full, a folder that is gone or a budget that is used up costs no response: the fill side waits for the
// client (it stalls), and tries the disk again a second later at the earliest.
//
// # Rules for callers
//
// One goroutine fills a pipe, another delivers. The fill side ends with the return of Fill or with CloseWrite, the
// deliver side with Free, in any order; the last of the two gives everything back, and after its own end a side does
// not touch the pipe again. The first error of either side ends the other one. No lock is held during reads, writes or
// callbacks. The only lock of the package is that of a pipe.
//
// The package does not know HTTP, it sets no deadlines on connections (a Read or Write that hangs is ended by its
// owner), and it writes no log: what happened is told through callbacks and counters.
package buffering
