package control

// Dial connects without asking who is there.
var Dial = dial

// Addresses returns where an instance listens.
func (s *Server) Address() string { return s.socket.Addr().String() }
