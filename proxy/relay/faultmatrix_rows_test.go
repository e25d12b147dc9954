package relay_test

import (
	"encoding/binary"
	"slices"

	"spillway/upstream/upstreamtest"
)

// faults are the rows.
func faults() []fault {
	return slices.Concat(connectFaults(), headFaults(), bodyFaults(), requestFaults(), httpFaults(), cgiFaults(), fastcgiFaults())
}

// long is a body that does not fit into the buffer of the head.
var long = pattern(1, 9000)

// with is an answer with a long body that goes wrong.
func with(f upstreamtest.Fault) upstreamtest.Answer { return upstreamtest.Answer{Body: long, Fault: f} }

// literally is an answer of these bytes.
func literally(text string) upstreamtest.Answer { return upstreamtest.Answer{Raw: []byte(text)} }

// Failures before a byte of a response: another peer is asked, unless the request may have had its effect. A failure that is
// none of "error timeout" is final.

func connectFaults() []fault {
	return []fault{
		{
			name: "refuses connections", peer: refusing,
			status: 502, words: "connect() failed (1 ... refused ... ) while connecting to upstream, ", counts: true, get: 200, post: 200,
		},
		{
			name: "never answers the connection", peer: unreachable,
			status: 504, words: "upstream timed out (1 ... ) while connecting to upstream, ", counts: true, get: 200, post: 200,
		},
	}
}

func headFaults() []fault {
	return []fault{
		{
			name: "takes the request and never answers", answer: with(upstreamtest.Silent),
			status: 504, words: "upstream timed out (1 ... ) while reading response header from upstream, ", counts: true, get: 200,
		},
		{
			name: "hangs in the head", answer: with(upstreamtest.HangInHead),
			status: 504, words: "upstream timed out (1 ... ) while reading response header from upstream, ", counts: true, get: 200,
		},
		{
			name: "closes instead of answering", answer: with(upstreamtest.CloseBeforeHead),
			status: 502, words: "upstream prematurely closed ... while reading response header from upstream, ", counts: true, get: 200,
		},
		{
			name: "closes in the head", answer: with(upstreamtest.CloseInHead),
			status: 502, words: "upstream prematurely closed ... while reading response header from upstream, ", counts: true, get: 200,
		},
		{
			name: "resets instead of answering", answer: with(upstreamtest.ResetBeforeHead),
			status: 502, words: resetWords + " while reading response header from upstream, ", counts: true, get: 200,
		},
		{
			name: "answers with garbage", answer: with(upstreamtest.Garbage),
			status: 502, words: "upstream sent ... while reading response header from upstream, ", counts: true,
		},
		{
			name: "has a head of 64 KB", answer: with(upstreamtest.HugeHead),
			status: 502, words: "upstream sent too big header while reading response header from upstream, ", counts: true,
		},
		{
			name: "has a field of 1 MB", answer: upstreamtest.Answer{Header: []upstreamtest.Field{{Name: "X", Value: repeated("x", 1<<20)}}},
			status: 502, words: "upstream sent too big header while reading response header from upstream, ", counts: true,
		},
		{
			name: "has 3000 fields", answer: upstreamtest.Answer{Header: slices.Repeat([]upstreamtest.Field{{Name: "X", Value: "y"}}, 3000)},
			status: 502, words: "upstream sent too big header while reading response header from upstream, ", counts: true,
		},
		{
			name: "sends its head byte by byte", answer: upstreamtest.Answer{Body: long[:2000], Fault: upstreamtest.ByteByByte}, status: 200,
		},
		{
			name: "sends a byte now and then", answer: upstreamtest.Answer{Body: long[:100], Fault: upstreamtest.Trickle}, status: 200,
		},
	}
}

// Failures behind the first bytes of a body: the client has the head, so the response is cut such that it cannot look whole.
// As in nginx, the peer has answered, and nothing counts against it.

func bodyFaults() []fault {
	return []fault{
		{
			name: "hangs in the body", answer: with(upstreamtest.HangInBody),
			status: 200, cut: true, words: "upstream timed out (1 ... ) while reading upstream, ",
		},
		{
			name: "closes in the body", answer: with(upstreamtest.CloseInBody),
			status: 200, cut: true, words: "upstream prematurely closed ... while reading upstream, ",
		},
		{
			name: "closes in a body of undeclared length", wires: "http fastcgi", // elsewhere that is how a body ends
			answer: upstreamtest.Answer{Body: long, Undeclared: true, Fault: upstreamtest.CloseInBody},
			status: 200, cut: true, words: "upstream prematurely closed ... while reading upstream, ",
		},
		{
			name: "resets in the body", answer: with(upstreamtest.ResetInBody),
			status: 200, cut: true, words: resetWords + " while reading upstream, ",
		},
		{
			name: "sends less than it declared", answer: with(upstreamtest.ShortBody),
			status: 200, cut: true, words: "upstream prematurely closed ... while reading upstream, ",
		},
		{
			name: "sends more than it declared", answer: with(upstreamtest.LongBody), // the client gets what was declared
			status: 200, words: `[warn] ... upstream sent more data than specified in "Content-Length" header while reading upstream, `,
		},
		{name: "closes a connection that was to stay open", wires: "http fastcgi", answer: with(upstreamtest.CloseAfter), status: 200},
		{name: "sends stray bytes behind its response", wires: "fastcgi", answer: with(upstreamtest.StrayBytes), status: 200},
		{
			name: "sends stray bytes behind its response", wires: "http", answer: with(upstreamtest.StrayBytes), status: 200, silent: true,
			words: `[warn] ... upstream sent more data than specified in "Content-Length" header while reading upstream, `,
		},
	}
}

// requestFaults are answers before the request was read: they are the answer, and nobody else is asked.
func requestFaults() []fault {
	early := func(f upstreamtest.Fault) upstreamtest.Answer {
		return upstreamtest.Answer{Status: 413, Body: []byte("too much"), Fault: f}
	}
	return []fault{
		{name: "answers before it has read the body", answer: early(upstreamtest.EarlyAnswer), upload: 1 << 20, status: 413},
		{name: "answers and leaves a small body unread", answer: early(upstreamtest.EarlyAnswer), upload: 100, status: 413},
	}
}

func httpFaults() []fault {
	head := "HTTP/1.1 200 OK\r\n"
	bad := func(name, text, words string) fault {
		return fault{
			name: name, wires: "http", answer: literally(text), status: 502, counts: true,
			words: words + " ... while reading response header from upstream, ",
		}
	}
	return []fault{
		bad("has a status of five digits", "HTTP/1.1 99999 OK\r\nContent-Length: 0\r\n\r\n", "upstream sent "),
		bad("has a status of letters", "HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n", "upstream sent "),
		bad("switches protocols unasked", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "upstream sent invalid status"),
		bad("declares two lengths", head+"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx", "upstream sent duplicate header line: "),
		bad("declares a length that is no number", head+"Content-Length: +1\r\n\r\nx", `upstream sent invalid "Content-Length" header: `),
		bad("has a field without a colon", head+"nonsense\r\n\r\n", "upstream sent invalid header: "),
		bad("has a NUL in a field", head+"X: a\x00b\r\nContent-Length: 0\r\n\r\n", "upstream sent invalid header: "),
		bad("has a space in the name of a field", head+"X Y: a\r\nContent-Length: 0\r\n\r\n", "upstream sent invalid header: "),
		bad("has a coding that nobody knows", head+"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", `upstream sent unknown "Transfer-Encoding": `),
		bad("has 2000 interim responses", repeated("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", 2000)+head+"Content-Length: 0\r\n\r\n", "upstream sent "),
		{
			name: "begins its body with a chunk that is none", wires: "http", answer: literally(head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
			status: 502, counts: true, words: "upstream sent invalid chunked response while reading upstream, ",
		},
		{
			name: "has a bad chunk in its body", wires: "http",
			answer: literally(head + "Transfer-Encoding: chunked\r\n\r\n1388\r\n" + repeated("x", 5000) + "\r\n-1\r\n"),
			status: 200, cut: true, words: "upstream sent invalid chunked response while reading upstream, ",
		},
	}
}

func cgiFaults() []fault {
	bad := func(name, text, words string) fault {
		return fault{
			name: name, wires: "scgi uwsgi", answer: literally(text), status: 502, counts: true,
			words: words + " ... while reading response header from upstream, ",
		}
	}
	return []fault{
		bad("has no head", "just text\n", "upstream "),
		bad("has a Status of letters", "Status: abc\r\n\r\n", `upstream sent invalid status "abc"`),
		bad("has a Status of five digits", "Status: 99999\r\n\r\n", `upstream sent invalid status "99999"`),
		bad("has a NUL in a CGI field", "Status: 200 OK\r\nX: a\x00b\r\n\r\n", "upstream sent invalid header: "),
		bad("declares two CGI lengths", "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx", "upstream sent duplicate header line: "),
	}
}

// fcgi is a record of FastCGI 1.0, section 3.3; length is what it declares.
func fcgi(version, typ byte, id uint16, length int, content string) string {
	b := []byte{version, typ}
	b = binary.BigEndian.AppendUint16(b, id)
	b = binary.BigEndian.AppendUint16(b, uint16(length))
	return string(append(b, 0, 0)) + content
}

func fastcgiFaults() []fault {
	const end, stdout, stderr = 3, 6, 7
	record := func(typ byte, content string) string { return fcgi(1, typ, 1, len(content), content) }
	ended := func(status byte) string { return record(end, "\x00\x00\x00\x00"+string([]byte{status})+"\x00\x00\x00") }
	head := "Status: 200 OK\r\n\r\n"
	bad := func(name, text, words string) fault {
		return fault{
			name: name, wires: "fastcgi", answer: literally(text), status: 502, counts: true,
			words: words + " ... while reading response header from upstream, ",
		}
	}
	failed := func(name, text, words string) fault { // an "error": another peer may be asked
		f := bad(name, text, words)
		f.get = 200
		return f
	}
	return []fault{
		failed("cuts its first record short", fcgi(1, stdout, 1, 1000, "Status: 200"), "upstream prematurely closed connection"),
		failed("is overloaded", ended(2), "upstream sent unexpected FastCGI record: 3 (overloaded)"),
		bad("ends the request without a head", ended(0), "upstream sent unexpected FastCGI record: 3"),
		bad("complains in stderr, and ends", record(stderr, "PHP Fatal error: x")+ended(0), "upstream sent unexpected FastCGI record: 3"),
		bad("speaks version 2", fcgi(2, stdout, 1, len(head), head)+ended(0), "upstream sent unsupported FastCGI protocol version: 2"),
		bad("answers another request", fcgi(1, stdout, 2, len(head), head)+ended(0), "upstream sent "),
		bad("sends a record of an unknown type", fcgi(1, 99, 1, 0, ""), "upstream sent "),
		bad("has a Status of letters in FastCGI", record(stdout, "Status: abc\r\n\r\n")+ended(0), `upstream sent invalid status "abc"`),
		{
			name: "cuts a record in the body", wires: "fastcgi",
			answer: literally(record(stdout, head+string(long)) + fcgi(1, stdout, 1, 1000, "short")),
			status: 200, cut: true, words: "upstream prematurely closed FastCGI ... while reading upstream, ",
		},
		{
			name: "does not end the request", wires: "fastcgi", answer: literally(record(stdout, head+string(long))),
			status: 200, cut: true, words: "upstream prematurely closed FastCGI ... while reading upstream, ",
		},
		{
			name: "floods stderr", wires: "fastcgi", answer: upstreamtest.Answer{Body: long, Stderr: repeated("a line of stderr\n", 60000)},
			status: 200, words: `FastCGI sent in stderr: "a line of stderr`,
		},
	}
}
