package downstream

// chunks decodes a chunked body (RFC 9112 section 7.1). Extensions and trailers are dropped, everything irregular is an error.
type chunks struct {
	state    chunkState
	size     uint64 // of the chunk, while its size is read; then what is left of its data
	digits   int
	overhead int64 // bytes that are not data
	data     int64
}

type chunkState uint8

const (
	chunkSize chunkState = iota // hexadecimal digits
	chunkExt                    // after a semicolon, up to CR
	chunkSizeLF
	chunkData
	chunkDataCR
	chunkDataLF
	trailerStart // first byte of a line after the last chunk
	trailer      // within a trailer line
	trailerLF
	lastLF
	chunksDone
)

// Chunk framing may cost this much, and this many times the data: one byte in each chunk costs five bytes. What is
// above is an attack (CVE-2023-39326).
const (
	chunkOverhead      = 16 << 10
	chunkOverheadRatio = 8
)

func (k *chunks) reset() { *k = chunks{} }

func (k *chunks) done() bool { return k.state == chunksDone }

// filter reads p up to the end of the body and moves the data to the front of p. It returns the number of its bytes, and of those that were read: p[used:] belongs to the next request.
func (k *chunks) filter(p []byte) (kept, used int, err error) {
	for used < len(p) && k.state != chunksDone {
		if k.state == chunkData {
			n := int(min(uint64(len(p)-used), k.size))
			if kept != used {
				copy(p[kept:], p[used:used+n])
			}
			kept, used = kept+n, used+n
			k.data += int64(n)
			if k.size -= uint64(n); k.size == 0 {
				k.state = chunkDataCR
			}
			continue
		}
		if err := k.step(p[used]); err != nil {
			return kept, used, err
		}
		used++
		if k.overhead++; k.overhead > chunkOverhead+chunkOverheadRatio*k.data {
			return kept, used, badRequest("chunked body of next to nothing but framing")
		}
	}
	return kept, used, nil
}

// step takes one byte of framing.
func (k *chunks) step(c byte) error {
	switch k.state {
	case chunkSize:
		return k.sizeByte(c)
	case chunkExt:
		switch {
		case c == '\r':
			k.state = chunkSizeLF
			return nil
		case c < ' ' && c != '\t' || c == 0x7f:
			return badRequest("control byte in a chunk extension")
		}
		return nil
	case chunkSizeLF:
		k.state = chunkData
		if k.size == 0 {
			k.state = trailerStart
		}
		return want(c, '\n')
	case chunkDataCR:
		k.state = chunkDataLF
		return want(c, '\r')
	case chunkDataLF:
		k.state, k.digits, k.size = chunkSize, 0, 0
		return want(c, '\n')
	case trailerStart:
		if c == '\r' {
			k.state = lastLF
			return nil
		}
		k.state = trailer
		if !isToken[c] {
			return badRequest("invalid trailer")
		}
		return nil
	case trailer:
		switch {
		case c == '\r':
			k.state = trailerLF
		case c < ' ' && c != '\t' || c == 0x7f:
			return badRequest("control byte in a trailer")
		}
		return nil
	case trailerLF:
		k.state = trailerStart
		return want(c, '\n')
	default: // lastLF
		if err := want(c, '\n'); err != nil {
			return err // a body that ends wrong is never done
		}
		k.state = chunksDone
		return nil
	}
}

func (k *chunks) sizeByte(c byte) error {
	var digit uint64
	switch {
	case isDigit(c):
		digit = uint64(c - '0')
	case c >= 'a' && c <= 'f':
		digit = uint64(c-'a') + 10
	case c >= 'A' && c <= 'F':
		digit = uint64(c-'A') + 10
	case c == '\r' && k.digits > 0:
		k.state = chunkSizeLF
		return nil
	case c == ';' && k.digits > 0:
		k.state = chunkExt
		return nil
	default:
		return badRequest("invalid chunk size")
	}
	if k.digits++; k.digits > 15 { // 60 bits: no overflow anywhere
		return badRequest("chunk size too large")
	}
	k.size = k.size<<4 | digit
	return nil
}

func want(got, wanted byte) error {
	if got != wanted {
		return badRequest("chunk that does not end with CR LF")
	}
	return nil
}
