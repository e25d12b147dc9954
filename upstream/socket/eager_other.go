//go:build !linux || !(amd64 || arm64)

package socket

// eagerPieces cannot tell whether a write would wait.
type eagerPieces struct{}

func (*eagerPieces) write(*Socket, [][]byte) int64 { return 0 }
