package supervisor

import "time"

// State is where a process stands in its life.
type State uint8

// The states of a process. From Idle it goes to Starting, Ready, Stopping, Exited, Restarting, and to Starting again; a
// process that does not get ready goes from Starting to Stopping. Stop leads from any of them, over Stopping and Exited
// where a process runs, to Stopped.
const (
	Idle       State = iota // not launched yet
	Starting                // launched, not ready yet
	Ready                   // accepts requests
	Exited                  // ended, with its tree; what follows is decided at once
	Restarting              // waits for its next launch
	Stopping                // its process has ended or is asked to; its tree is being ended
	Stopped                 // ended by Stop: the last state
)

// String returns the state as status pages show it.
func (s State) String() string {
	return [...]string{"idle", "starting", "ready", "exited", "restarting", "stopping", "stopped"}[s]
}

// Event is one change of a process's state.
type Event struct {
	State    State // what the process has become
	Process  int   // its number, from 1
	PID      int   // of the run that the event speaks of; 0 at Restarting and Stopped
	Port     int
	Restarts int           // launches after the first
	Exit     Exit          // at Exited
	Delay    time.Duration // at Restarting: until the next launch
	Err      error         // at Restarting: why a launch was not possible; nil after an exit
}

// Exit is how a run ended.
type Exit struct {
	Code   int      // exit code; -1 when a signal ended it
	Text   string   // "exit code 1", "exit code 3221225477 (0xC0000005)", "signal SIGKILL"
	Output []string // its last lines, stdout and stderr as they came, at most 20
	At     time.Time
}

// ProcessState is a copy of what is known of a process.
type ProcessState struct {
	Number   int // from 1
	PID      int // 0 while nothing runs
	Port     int
	State    State
	Since    time.Time // when it got into State
	Starts   int       // launches
	Exits    int
	Restarts int  // launches after the first
	LastExit Exit // of the last run that ended; zero before
}
