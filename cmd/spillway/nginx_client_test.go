//go:build linux && !race

package main_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What is compared, each a text.
const (
	seenResponse   = "response"   // status line and fields, sorted by name, those of one name in order; without framing
	seenFraming    = "framing"    // how the body's end is told, and whether it came
	seenBody       = "body"       // its bytes
	seenConnection = "connection" // whether the client's connection serves another request
	seenPeers      = "peers"      // which peers were asked, and what they got
	seenErrors     = "error log"
	seenAccess     = "access log"
)

// observation is what was seen of one trial at one rival.
type observation map[string]string

// add appends a line to what was seen.
func (o observation) add(what, text string) {
	if o[what] != "" {
		o[what] += "\n"
	}
	o[what] += text
}

// A trial is what is done to both rivals.
type trial struct {
	*place

	// send has requests, one after the other on one connection; {} stands for the location's path without its last slash.
	send    []string
	hold    string   // the response is read only when the error log has this text
	leaves  bool     // the client leaves when the peer has got the request
	version uint16   // of the client's TLS at most; 0: the newest
	plain   bool     // the client speaks plain HTTP, whatever the rivals do
	brief   bool     // one of the rivals does not come to an end, so the client gives up soon
	differs []string // names in the table of intended differences
}

// reply is one response as the client got it.
type reply struct {
	status  string // the status line
	fields  []string
	framing string
	body    []byte
	closes  bool // the connection is to end with it
}

// run sends the requests to r and returns what was seen but for the logs. logged counts the requests that must be logged.
func (tr *trial) run(t *testing.T, r *rival, logged *int) observation {
	t.Helper()
	tr.reset()
	o := observation{}
	conn := dial(t, r, tr)
	defer conn.Close()
	local := port(t, conn.LocalAddr().String())
	reader := bufio.NewReader(conn)
	for i, request := range tr.send {
		request = strings.ReplaceAll(request, "{}", strings.TrimSuffix(tr.path(), "/"))
		tr.journal.closing.Wait() // or it would be chance whether a rival knows that its kept connection has ended
		*logged++
		if _, err := io.WriteString(conn, request); err != nil && !errors.Is(err, net.ErrClosed) {
			o.add(seenFraming, "request not taken whole")
		}
		if tr.leaves {
			<-tr.journal.asked
			break
		}
		if tr.hold != "" {
			eventually(t, fmt.Sprintf("%s: %s logs %q", tr.name, r.name, tr.hold), func() bool { return r.hasLogged(tr.path(), tr.hold) })
		}
		got, err := readReply(reader, strings.HasPrefix(request, "HEAD "))
		o.add(seenResponse, got.status+"\n"+strings.Join(got.fields, "\n"))
		o.add(seenFraming, got.framing)
		o.add(seenBody, shown(got.body))
		if err != nil {
			o.add(seenFraming, errorWords(err))
			break
		}
		if i == len(tr.send)-1 || got.closes {
			o.add(seenConnection, afterwards(conn, reader, got.closes, logged))
		}
	}
	conn.Close()
	for key, text := range o {
		o[key] = tr.anonymous(text, r, local)
	}
	o[seenPeers] = tr.anonymous(tr.journal.take(), r, local)
	return o
}

// briefly is how long a client of a brief trial waits.
const briefly = 2 * time.Second

// dial connects to r. A client whose response is held takes little that it does not read; not less than this: with a smaller
// window the kernel makes each segment of the loopback a wait.
func dial(t *testing.T, r *rival, tr *trial) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	if tc, ok := conn.(*net.TCPConn); ok && tr.hold != "" {
		_ = tc.SetReadBuffer(64 << 10)
	}
	wait := patience
	if tr.brief {
		wait = briefly
	}
	if err := conn.SetDeadline(time.Now().Add(wait)); err != nil {
		t.Fatal(err)
	}
	if r.secure && !tr.plain {
		return tls.Client(conn, &tls.Config{ServerName: serverName, InsecureSkipVerify: true, MaxVersion: tr.version})
	}
	return conn
}

// hasLogged says whether there is a line about the path with the text.
func (r *rival) hasLogged(path, text string) bool {
	log, err := os.ReadFile(r.errors)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, text) && strings.Contains(line, path) {
			return true
		}
	}
	return false
}

// readReply reads a response. The error is that of a body that does not come to its end.
func readReply(r *bufio.Reader, head bool) (reply, error) {
	var got reply
	status, fields, err := readHead(r)
	if err != nil {
		got.status = "no response"
		return got, err
	}
	got.status = status
	length, chunked := value(fields, "content-length"), value(fields, "transfer-encoding") == "chunked"
	for _, f := range fields {
		switch fieldName(f) {
		case "content-length", "transfer-encoding", "connection":
		default:
			got.fields = append(got.fields, f)
		}
	}
	got.closes = value(fields, "connection") == "close"
	code, _, _ := strings.Cut(strings.TrimPrefix(status, "HTTP/1.1 "), " ")
	switch {
	case head || code == "204" || code == "304":
		got.framing = "no body"
		if length != "" {
			got.framing = "no body, length " + length
		}
		if chunked {
			got.framing = "no body, chunked"
		}
	case chunked:
		got.framing = "chunked"
		got.body, err = readChunks(r)
	case length != "":
		got.framing = "length"
		n, _ := strconv.Atoi(length)
		got.body = make([]byte, n)
		n, err = io.ReadFull(r, got.body)
		got.body = got.body[:n]
	default:
		got.framing, got.closes = "to the end of the connection", true
		got.body, err = io.ReadAll(r)
	}
	return got, err
}

func errorWords(err error) string {
	if os.IsTimeout(err) {
		return "hangs"
	}
	return "cut"
}

// afterwards says what becomes of a connection behind a response.
func afterwards(conn net.Conn, r *bufio.Reader, closes bool, logged *int) string {
	if closes {
		if tc, ok := conn.(*net.TCPConn); ok {
			_ = tc.CloseWrite() // nginx waits for more of a body that it does not want
		}
		if _, err := r.ReadByte(); !errors.Is(err, io.EOF) {
			return fmt.Sprintf("announced its end, then %v", err)
		}
		return "closed"
	}
	if _, err := io.WriteString(conn, "GET /ping/ HTTP/1.1\r\nHost: "+serverName+"\r\n\r\n"); err != nil {
		return "closed without notice"
	}
	got, err := readReply(r, false)
	if err != nil {
		return "closed without notice"
	}
	*logged++
	return "kept, then " + got.status
}

// anonymous replaces what differs between two runs of the same: addresses, ports and folders.
func (p *place) anonymous(text string, r *rival, local string) string {
	for _, peer := range p.peers {
		text = strings.ReplaceAll(text, peer.addr, "<"+peer.name+">")
	}
	_, own, _ := net.SplitHostPort(r.addr)
	for _, known := range [][2]string{
		{r.dir, "<dir>"},
		{r.addr, "<front>"},
		{"SERVER_PORT: " + own, "SERVER_PORT: <port>"},
		{"REMOTE_PORT: " + local, "REMOTE_PORT: <port>"},
	} {
		text = strings.ReplaceAll(text, known[0], known[1])
	}
	return text
}
