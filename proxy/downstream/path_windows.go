package downstream

// appendURI is nginx's $uri of the path of a target: decoded, normalised and with Windows' rules for names, so that a
// location cannot be passed by under another spelling.
func appendURI(dst, raw []byte) ([]byte, error) {
	start := len(dst)
	dst, err := appendPath(dst, raw, slashAndBackslash)
	if err != nil {
		return nil, err
	}
	path, err := win32Path(dst[start:])
	return dst[:start+len(path)], err
}
