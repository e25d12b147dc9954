package demo

// ownSuffix is nothing: each user has a folder for temporary files.
func ownSuffix() string { return "" }
