// Package scgi speaks SCGI to a peer (SCGI: A Simple Common Gateway Interface alternative, Neil Schemenauer, 2008;
// python.ca/scgi).
//
// A request is a netstring of variables, CONTENT_LENGTH the first of them, and the body behind it. The answer is that of a
// CGI program; a status line of HTTP is taken for its head, too, as nginx takes it. It ends at its Content-Length, or, when
// it declares none, with the connection. Everything but the netstring is cgi.OneShot.
package scgi
