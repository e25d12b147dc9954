package app

// TurnIsFree says that neither a reload nor a restart runs.
func (a *App) TurnIsFree() bool { return len(a.turn) == 0 }
