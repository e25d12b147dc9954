//go:build !windows

package downstream

// appendURI is nginx's $uri of the path of a target: decoded and normalised.
func appendURI(dst, raw []byte) ([]byte, error) { return appendPath(dst, raw, slashOnly) }
