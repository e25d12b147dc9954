package proxy

import (
	"encoding/hex"
	"math/rand/v2"
)

// RequestID returns nginx's $request_id: 32 hexadecimal digits, random, the same for the whole exchange.
func (ex *Exchange) RequestID() string {
	if ex.ID == "" {
		var b [16]byte
		for i := range 2 {
			word := rand.Uint64()
			for j := range 8 {
				b[8*i+j] = byte(word >> (8 * j))
			}
		}
		ex.ID = hex.EncodeToString(b[:])
	}
	return ex.ID
}
