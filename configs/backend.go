package configs

// Backend is the program of an upstream that spillway starts and keeps alive.
type Backend struct {
	Command   []string // program and arguments; {port} and {process} stand for the port and the number of the process
	Directory string   // absolute working folder; a program written with a separator is relative to it
	Env       []Field  // added to spillway's environment; {port} and {process} as in Command
	Processes Processes
	Ports     []int // at least Processes.Max, those beyond are for replacements; nil lets the system choose (auto)

	Ready  Ready
	Output Output

	// When a process is replaced; 0 is never.
	MaxRequests       int      // after so many requests ...
	MaxRequestsJitter int      // ... and up to this many more, at random, so that not all are replaced at once
	MaxAge            Duration // after so long
	MaxMemory         Size     // of the process and its children, resident
	BusyTimeout       Duration // a request that takes longer is cut, and its process is replaced
	Watch             []string // when one of these changes; absolute: files, folders, or patterns of filepath.Match

	StopSignal  string    // one of stopSignals; Windows knows kill, and everything else is CTRL_BREAK
	StopTimeout Duration  // a process that has not ended then is killed
	BackoffMin  Duration  // before the first restart of a process that ended
	BackoffMax  Duration  // the pause doubles up to this
	RapidFail   RapidFail // when a process is given up

	Places Places
}

// Processes is how many copies of a program run. Where Min and Max are equal the number is fixed, and the rest is 0.
type Processes struct {
	Min, Max           int
	SpareMin, SpareMax int      // bounds for the processes without a request: more are started, or some are stopped
	Idle               Duration // one that is not needed any more is stopped after this
}

// Ready says when a started process may get requests.
type Ready struct {
	Path    string   // answers 2xx or 3xx to GET; empty: the port accepts a connection
	Timeout Duration // a process that is not ready then is started anew
	Warmup  []string // paths that are asked once before a process gets requests, whatever they answer
	Settle  Duration // how long one that takes another's place has to live after all that

	Places Places
}

// RapidFail says when a process that ends again and again is given up. The zero value never gives up: a database that is
// back after an hour brings the site back.
type RapidFail struct {
	Times  int
	Within Duration
}

// Output is a file for what processes write to stdout and stderr, beside the error log, which has it in any case.
type Output struct {
	Path   string // absolute, with {process} and {port} in it; empty when off
	Rotate Rotate
}
