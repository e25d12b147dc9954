//go:build linux && !race

package main_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// The opcodes of RFC 6455, section 5.2, that the tests use.
const (
	wsText   = 1
	wsBinary = 2
	wsClose  = 8
	wsPing   = 9
	wsPong   = 10
)

// webSocket is the client's end of a WebSocket.
type webSocket struct {
	net.Conn

	t *testing.T
	r *bufio.Reader
}

// openWebSocket asks for one at the path.
func (s *site) openWebSocket(t *testing.T, path string) *webSocket {
	t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", path)
	ws := &webSocket{Conn: conn, t: t, r: bufio.NewReader(conn)}
	resp, err := http.ReadResponse(ws.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Fatalf("got %d %v, want a WebSocket", resp.StatusCode, resp.Header)
	}
	return ws
}

// send sends a message as one frame, masked with zeros.
func (ws *webSocket) send(opcode byte, message []byte) {
	ws.t.Helper()
	head := []byte{0x80 | opcode, 0x80}
	switch {
	case len(message) < 126:
		head[1] |= byte(len(message))
	case len(message) < 1<<16:
		head[1] |= 126
		head = binary.BigEndian.AppendUint16(head, uint16(len(message)))
	default:
		head[1] |= 127
		head = binary.BigEndian.AppendUint64(head, uint64(len(message)))
	}
	head = append(head, 0, 0, 0, 0)
	if _, err := ws.Write(append(head, message...)); err != nil {
		ws.t.Fatal(err)
	}
}

// receive reads a frame.
func (ws *webSocket) receive() (opcode byte, message []byte) {
	ws.t.Helper()
	opcode, message, err := ws.frame()
	if err != nil {
		ws.t.Fatal(err)
	}
	return opcode, message
}

func (ws *webSocket) frame() (opcode byte, message []byte, err error) {
	var head [8]byte
	if _, err = io.ReadFull(ws.r, head[:2]); err != nil {
		return 0, nil, err
	}
	opcode = head[0] & 15
	length := uint64(head[1])
	switch length {
	case 126:
		_, err = io.ReadFull(ws.r, head[6:])
		length = uint64(binary.BigEndian.Uint16(head[6:]))
	case 127:
		_, err = io.ReadFull(ws.r, head[:])
		length = binary.BigEndian.Uint64(head[:])
	}
	if err != nil || length > 16<<20 {
		return 0, nil, errors.Join(err, errors.New("frame too large or cut"))
	}
	message = make([]byte, length)
	_, err = io.ReadFull(ws.r, message)
	return opcode, message, err
}
