package supervisor

import "time"

// State is where a run of a process stands, or what its port waits for.
type State uint8

// The states, in the order of a life. A run goes from Starting to Ready, Draining, Stopping and Exited; one that ends by
// itself, or does not get ready, goes to Stopping at once. Restarting, Failed and Idle are states of a port at which nothing
// runs.
const (
	Idle       State = iota // no process has this port: it is a spare
	Starting                // launched, not ready yet
	Ready                   // accepts requests
	Draining                // gets no more requests and ends those that it has
	Stopping                // has ended or is asked to; its tree is being ended
	Exited                  // ended, with its tree; what follows is decided at once
	Restarting              // waits for its next launch
	Failed                  // given up, see Options.RapidFail
	Stopped                 // ended by Stop: the last state
)

// String returns the state as status pages show it.
func (s State) String() string {
	return [...]string{
		"idle", "starting", "ready", "draining", "stopping", "exited", "restarting", "failed", "stopped",
	}[s]
}

// Reason is why a run is ended. It is a word for logs and a label for metrics.
type Reason string

// The reasons. Those of Recycle and Kill are the caller's to name; these are the ones that there are.
const (
	ReasonExited      Reason = "exited"       // by itself
	ReasonNotReady    Reason = "not_ready"    // not in time, or not the way it should be
	ReasonMaxRequests Reason = "max_requests" // the caller counts them
	ReasonMaxAge      Reason = "max_age"
	ReasonMaxMemory   Reason = "max_memory"
	ReasonBusyTimeout Reason = "busy_timeout" // the caller has waited too long for an answer
	ReasonUnhealthy   Reason = "unhealthy"    // the caller's probes have failed
	ReasonRestart     Reason = "restart"      // somebody called Restart
	ReasonUpdate      Reason = "update"       // somebody called Update
	ReasonIdle        Reason = "idle"         // fewer processes are enough
	ReasonStop        Reason = "stop"         // somebody called Stop
)

// Event is one change of the state of a port.
type Event struct {
	State    State // what it has become
	Process  int   // the number of the process, from 1; at Idle of the one that was there
	PID      int   // of the run that the event speaks of; 0 at Idle, Restarting, Failed and Stopped
	Port     int
	Restarts int           // launches of the process after its first
	Reason   Reason        // at Draining, Stopping and Exited: why the run is ended; at Restarting and Failed of the last run
	Exit     Exit          // at Exited
	Delay    time.Duration // at Restarting: until the next launch
	Err      error         // at Restarting and Failed: why a launch was not possible; nil after an exit
}

// Exit is how a run ended.
type Exit struct {
	Code   int      // exit code; -1 when a signal ended it
	Text   string   // "exit code 1", "exit code 3221225477 (0xC0000005 ...)", "signal SIGKILL"
	Output []string // its last lines, stdout and stderr as they came, at most 20
	At     time.Time
	Uptime time.Duration // since its launch
	Peak   int64         // bytes, the most that the program, or one of its children, held at once; 0: not known
}

// ProcessState is a copy of what is known of a port and of the process that has it.
type ProcessState struct {
	Number   int // of the process, from 1; 0 at Idle
	PID      int // 0 while nothing runs
	Port     int
	State    State
	Since    time.Time // when it got into State
	Reason   Reason    // as in Event; empty at Idle, Starting and Ready
	Memory   int64     // bytes, resident, of the whole tree when it was last measured; 0: not measured, see MaxMemory
	Starts   int       // launches at this port
	Exits    int       // ends of runs at this port
	Restarts int       // launches at this port of processes that had been launched before, here or elsewhere
	LastExit Exit      // of the last run at this port that ended; zero before
}

// Totals counts what has happened to the processes of a backend since New. No number ever goes down.
type Totals struct {
	Starts   int
	Restarts int            // starts of processes that had been started before
	Exits    map[Reason]int // ends of runs by their reason
	GivenUp  int            // how often a process has become Failed
}
