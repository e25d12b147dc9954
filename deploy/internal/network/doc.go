// Package network connects test clients to a server on the same machine as if a network were between them.
package network
