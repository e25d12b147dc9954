package control

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"strconv"
	"strings"
)

// Place is where the instance of a configuration is found.
type Place struct {
	Path    string // of the configuration file, absolute; it need not exist
	address string // written in the configuration: a socket or a pipe; empty: derived from Path
}

// At returns the place for the configuration in file. address is the path of a unix socket or the whole name of a pipe;
// empty for the one that follows from the file.
func At(file, address string) (Place, error) {
	path, err := filepath.Abs(file)
	if err != nil {
		return Place{}, err
	}
	return Place{Path: path, address: address}, nil
}

// readableBytes bounds the part of a name that is for people: with the rest it stays below the 104 bytes of a socket's path.
const readableBytes = 24

// name is what the instance is called in its folder, or among the pipes: the end of the path for people, and a hash.
func (p Place) name() string {
	path := folded(p.Path)
	sum := sha256.Sum256([]byte(path))
	readable := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' {
			return r
		}
		return '-'
	}, path)
	readable = strings.Trim(readable[max(0, len(readable)-readableBytes):], "-.")
	return readable + "-" + hex.EncodeToString(sum[:8])
}

func itoa(n int) string { return strconv.Itoa(n) }
