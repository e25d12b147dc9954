package main

import (
	"bytes"
	"net"
	"slices"

	"spillway/deploy/internal/peers"
)

// answer answers requests with a body of some size, a small one in one write.
func answer(size int) func(*peers.Conn) error {
	body := bytes.Repeat([]byte("x"), size)
	return func(c *peers.Conn) error {
		var pieces net.Buffers // of the response to all requests with id
		var id uint16
		for c.Keep() {
			if err := c.Next(); err != nil {
				return err
			}
			if pieces == nil || c.ID() != id {
				pieces, id = c.Response("", body), c.ID()
				if size <= kilobyte {
					pieces = net.Buffers{slices.Concat(pieces...)}
				}
			}
			response := slices.Clone(pieces)
			if _, err := response.WriteTo(c.Conn); err != nil {
				return err
			}
		}
		return nil
	}
}
