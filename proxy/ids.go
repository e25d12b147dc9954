package proxy

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
)

// RequestID returns nginx's $request_id: 32 hexadecimal digits, random, the same for the whole exchange.
func (ex *Exchange) RequestID() string {
	if ex.ID == "" {
		var b [16]byte
		binary.LittleEndian.PutUint64(b[:8], rand.Uint64())
		binary.LittleEndian.PutUint64(b[8:], rand.Uint64())
		ex.ID = hex.EncodeToString(b[:])
	}
	return ex.ID
}
