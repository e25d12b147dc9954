package supervisor

import "slices"

// knownSignal accepts what Unix knows, so that one configuration serves both.
func knownSignal(name string) bool {
	return slices.Contains([]string{"term", "int", "quit", "kill", "hup", "usr1", "usr2", "winch"}, name)
}
