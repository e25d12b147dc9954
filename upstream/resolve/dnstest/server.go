package dnstest

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// Fault is how the server goes wrong with a name.
type Fault uint8

// The faults.
const (
	None       Fault = iota
	Silent           // no answer
	ServFail         // SERVFAIL
	Truncated        // the answer fits only into TCP
	Forged           // before the answer come one with another id and one to another question, both with the address 192.0.2.66
	Garbage          // before the answer come bytes that are no message
	SilentAAAA       // no answer to AAAA alone
	FailAAAA         // SERVFAIL for AAAA alone
)

// Records are what a name has. The zero value of a name that was never Set is NXDOMAIN.
type Records struct {
	TTL       uint32 // seconds
	Addresses []string
	Alias     string // a CNAME that has the addresses, with half of the TTL; "": none
	Services  []Service
	Fault     Fault
}

// Service is an SRV record.
type Service struct {
	Target           string
	Port             uint16
	Priority, Weight uint16
}

// Server is a name server on 127.0.0.1, by UDP and TCP at one port.
type Server struct {
	packets net.PacketConn
	streams net.Listener

	mu    sync.Mutex // guards all below
	names map[string]Records
	asked map[string]int // questions, by name and type
}

// New starts a server, which ends with the test. Where there is no UDP, as under Wine, the test is skipped.
func New(t *testing.T) *Server {
	t.Helper()
	s := &Server{names: map[string]Records{}, asked: map[string]int{}}
	var sockets net.ListenConfig
	for range 20 { // a port that is free for both
		packets, err := sockets.ListenPacket(t.Context(), "udp4", "127.0.0.1:0")
		if err != nil {
			t.Skipf("there is no UDP here: %v", err)
		}
		streams, err := sockets.Listen(t.Context(), "tcp4", packets.LocalAddr().String())
		if err != nil {
			_ = packets.Close()
			continue
		}
		s.packets, s.streams = packets, streams
		break
	}
	if s.packets == nil {
		t.Fatal("no port is free for UDP and TCP")
	}
	if !s.echoes(t.Context()) {
		t.Skip("there is no UDP here")
	}
	var serving sync.WaitGroup
	serving.Go(s.servePackets) // both end when their sockets are closed
	serving.Go(s.serveStreams)
	t.Cleanup(func() {
		_ = s.packets.Close()
		_ = s.streams.Close()
		serving.Wait()
	})
	return s
}

// echoes says whether a packet arrives.
func (s *Server) echoes(ctx context.Context) bool {
	conn, err := (&net.Dialer{}).DialContext(ctx, "udp4", s.Addr())
	if err != nil {
		return false
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("x")); err != nil {
		return false
	}
	_ = s.packets.SetReadDeadline(time.Now().Add(5 * time.Second))
	_, _, err = s.packets.ReadFrom(make([]byte, 1))
	return err == nil && s.packets.SetReadDeadline(time.Time{}) == nil
}

// Addr returns the address of the server.
func (s *Server) Addr() string { return s.packets.LocalAddr().String() }

// Set makes these the records of a name.
func (s *Server) Set(name string, records Records) {
	s.mu.Lock()
	defer s.mu.Unlock()
	records.Services = slices.Clone(records.Services)
	s.names[key(name)] = records
}

// Remove makes the name unknown.
func (s *Server) Remove(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.names, key(name))
}

// Asked returns how often a name was asked for its A, AAAA or SRV records.
func (s *Server) Asked(name, recordType string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[key(name)+" Type"+recordType]
}

func key(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

func (s *Server) servePackets() {
	buf := make([]byte, 64<<10)
	for {
		n, from, err := s.packets.ReadFrom(buf)
		if err != nil {
			return
		}
		for _, answer := range s.answer(buf[:n], true) {
			_, _ = s.packets.WriteTo(answer, from)
		}
	}
}

func (s *Server) serveStreams() {
	for {
		conn, err := s.streams.Accept()
		if err != nil {
			return
		}
		go s.serveStream(conn) // ends with the client's connection
	}
}

func (s *Server) serveStream(conn net.Conn) {
	defer conn.Close()
	for {
		length := make([]byte, 2)
		if _, err := io.ReadFull(conn, length); err != nil {
			return
		}
		message := make([]byte, binary.BigEndian.Uint16(length))
		if _, err := io.ReadFull(conn, message); err != nil {
			return
		}
		for _, answer := range s.answer(message, false) {
			answer = append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)
			for _, part := range [][]byte{answer[:1], answer[1:9], answer[9:]} { // as a network may deliver it
				_, _ = conn.Write(part)
			}
		}
	}
}

// answer returns the messages that answer a question.
func (s *Server) answer(message []byte, packets bool) [][]byte {
	var p dnsmessage.Parser
	header, err := p.Start(message)
	if err != nil {
		return nil
	}
	q, err := p.Question()
	if err != nil {
		return nil
	}
	name := key(q.Name.String())
	s.mu.Lock()
	s.asked[name+" "+q.Type.String()]++
	records, known := s.names[name]
	s.mu.Unlock()
	reply := dnsmessage.Header{ID: header.ID, Response: true, RecursionDesired: true, RecursionAvailable: true}
	aaaa := q.Type == dnsmessage.TypeAAAA
	switch fault := records.Fault; {
	case fault == Silent, fault == SilentAAAA && aaaa:
		return nil
	case fault == ServFail, fault == FailAAAA && aaaa:
		reply.RCode = dnsmessage.RCodeServerFailure
		return [][]byte{pack(reply, q, nil)}
	case !known:
		reply.RCode = dnsmessage.RCodeNameError
		return [][]byte{pack(reply, q, nil)}
	case fault == Truncated && packets:
		reply.Truncated = true
		return [][]byte{pack(reply, q, nil)}
	case fault == Forged && packets:
		lie := Records{TTL: 1, Addresses: []string{"192.0.2.66"}}
		otherID, otherQuestion := reply, q
		otherID.ID++
		otherQuestion.Name = dnsmessage.MustNewName("other.test.")
		return [][]byte{pack(otherID, q, lie.resources(q)), pack(reply, otherQuestion, lie.resources(otherQuestion)), pack(reply, q, records.resources(q))}
	case fault == Garbage && packets:
		return [][]byte{{1, 2, 3}, []byte(strings.Repeat("\xff", 100)), pack(reply, q, records.resources(q))}
	}
	return [][]byte{pack(reply, q, records.resources(q))}
}

// resources returns the records that answer a question.
func (r *Records) resources(q dnsmessage.Question) (all []dnsmessage.Resource) {
	name, ttl := q.Name, r.TTL
	if r.Alias != "" {
		alias := dnsmessage.MustNewName(r.Alias + ".")
		all = append(all, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: ttl},
			Body:   &dnsmessage.CNAMEResource{CNAME: alias},
		})
		name, ttl = alias, ttl/2
	}
	add := func(body dnsmessage.ResourceBody) {
		all = append(all, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: ttl}, Body: body,
		})
	}
	for _, text := range r.Addresses {
		address := netip.MustParseAddr(text)
		switch {
		case address.Is4() && q.Type == dnsmessage.TypeA:
			add(&dnsmessage.AResource{A: address.As4()})
		case address.Is6() && q.Type == dnsmessage.TypeAAAA:
			add(&dnsmessage.AAAAResource{AAAA: address.As16()})
		}
	}
	if q.Type == dnsmessage.TypeSRV {
		for _, service := range r.Services {
			add(&dnsmessage.SRVResource{
				Priority: service.Priority, Weight: service.Weight, Port: service.Port,
				Target: dnsmessage.MustNewName(strings.TrimSuffix(service.Target, ".") + "."),
			})
		}
	}
	return all
}

func pack(header dnsmessage.Header, q dnsmessage.Question, answers []dnsmessage.Resource) []byte {
	message := dnsmessage.Message{Header: header, Questions: []dnsmessage.Question{q}, Answers: answers}
	packed, err := message.Pack()
	if err != nil {
		panic("dnstest: " + err.Error())
	}
	return packed
}
