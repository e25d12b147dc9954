// Package uwsgi speaks uWSGI's own language to a peer, which is called uwsgi (uWSGI documentation, The uwsgi Protocol).
//
// A request is a packet of variables and the body behind it. The answer is that of a CGI program or of one that speaks HTTP,
// whose status line uWSGI sends. It ends at its Content-Length, or, when it declares none, with the connection. Everything
// but the packet is cgi.OneShot.
//
// The packet's size has 16 bits: 65,535 bytes of variables. A request that has more is refused with 431, and never sent in
// part or under a size that has wrapped. (nginx answers it with 500.)
package uwsgi
