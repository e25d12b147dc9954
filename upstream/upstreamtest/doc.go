// Package upstreamtest has fake peers with faults, and the contract that every upstream.Protocol must pass. Only tests
// import it.
//
// A Server listens on 127.0.0.1, or in the contract on a unix socket, and answers in a wire language (HTTP, FastCGI, SCGI or
// uwsgi) what a function tells it to, going wrong on the way as the Answer's Fault says. Its side of the languages is written
// anew, as simply as possible and from the specifications (RFC 9112; FastCGI 1.0; python.ca/scgi; uWSGI's documentation),
// and shares nothing with the protocols that it tests.
//
// RunContract is called from the test of a package that speaks a language:
//
//	func TestProtocol_Contract(t *testing.T) {
//		upstreamtest.RunContract(t, upstreamtest.HTTP{}, func() upstream.Protocol {
//			return http1.New(http1.Options{KeepAlive: true})
//		})
//	}
//
// The package does not test what only one language has; that is for the language's own tests with literal bytes.
package upstreamtest
