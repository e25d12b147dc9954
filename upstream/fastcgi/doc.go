// Package fastcgi speaks FastCGI 1.0 to a peer, as a web server in the role of the Responder.
//
// Send builds the request with everything that fits in one buffer and one write; a larger body follows in records of its
// own. PARAMS records end between two variables wherever they can, because PHP reads each record by itself.
//
// An application may answer before it has the whole body. Send stops as soon as there is something to read; Receive and
// Response.Body send the rest whenever the peer has nothing to say, so neither side waits for the other.
//
// Receive and Response.Body read straight into the memory of their caller and take the records out in place. Only what the
// peer wrote to its standard output remains: framing, padding and standard error do not count against nginx's buffer_size,
// so a noisy script does not make its own head too big. The end of a response is END_REQUEST, or a connection that ends
// after exactly the declared Content-Length; a connection that just ends is an error, where nginx takes the part for the
// whole. After the last byte of the body Body waits for END_REQUEST, because the peer is busy until then.
//
// Section numbers in this package are those of the FastCGI Specification, 1.0 (Open Market, 29 April 1996).
//
// The package does not multiplex requests over a connection, does not ask for FCGI_GET_VALUES and sends no ABORT_REQUEST:
// closing the connection says the same to every application.
package fastcgi
