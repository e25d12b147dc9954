// Package http1 speaks HTTP/1.1 to a peer (RFC 9112).
//
// It is stricter with a peer's answer than nginx is: a status line, a field or a chunk that is not exactly HTTP makes the
// response Invalid, a response framed in two ways is never followed by another one on its connection, nor is one without
// a body that could have one by its head (HEAD, 204, 304), and a connection with unread bytes is not reused. Lines may end with a
// bare LF, because real peers send that.
//
// The request's head and a small body leave in one write. The response is parsed in place in Response.Buf; the body is
// decoded in place in the reader's buffer. What belongs to a connection is kept in Conn.State, so that an exchange on a
// kept connection allocates nothing of its own.
//
// The package does not decide which fields of the client a peer gets (the caller filters Request.Header), asks for an upgrade
// only when the request has one and leaves the connection to its holder then, and
// gives trailers and the fields of a 103 to the caller; it drops all other interim responses.
package http1
