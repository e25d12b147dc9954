package main

// ballastSize is how much garbage there may be beyond what Go allows (as much as lives, and 4 MB).
const ballastSize = 16 << 20

// newBallast returns memory that is never touched, so that the system does not give it either; the garbage collector counts it with what
// lives. Else it comes ten times a second where each request has a new connection, and each time a few requests wait for it: p99 of
// the cases fresh in deploy/bench. GOGC has no such effect without a multiple of all that lives.
func newBallast() []byte { return make([]byte, ballastSize) }
