package health

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"

	"github.com/hashicorp/go-retryablehttp"

	"spillway/upstream"
)

// askHTTP asks over HTTP/1.1. It asks once: what failed and was repeated would not be counted.
func (r *Request) askHTTP(ctx context.Context, p *upstream.Peer) (*Answer, error) {
	client := retryablehttp.NewClient()
	client.Logger = nil
	client.HTTPClient = httpClient(p)
	client.RetryMax = 0
	client.CheckRetry = func(context.Context, *http.Response, error) (bool, error) { return false, nil }
	client.ErrorHandler = retryablehttp.PassthroughErrorHandler
	scheme := "http://"
	if p.TLS() != nil {
		scheme = "https://"
	}
	request, err := retryablehttp.NewRequestWithContext(ctx, http.MethodGet, scheme+r.hostFor(p)+r.Path, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", userAgent)
	resp, err := client.Do(request)
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // without the URL, which says nothing that the log line does not
	}
	switch {
	case errors.Is(err, io.EOF):
		return nil, errors.New("connection closed without an answer")
	case err != nil:
		return nil, noSocket(err)
	}
	defer resp.Body.Close()
	answer := &Answer{Status: resp.StatusCode, Header: resp.Header.Get}
	answer.Body, err = io.ReadAll(io.LimitReader(resp.Body, bodySize))
	return answer, err
}

// httpClient asks one peer, whatever the URL says: it may be a unix socket.
func httpClient(p *upstream.Peer) *http.Client {
	network, address := p.Endpoint()
	return &http.Client{
		Transport: &http.Transport{ // without Proxy: the environment must not lead a probe elsewhere
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, address)
			},
			TLSClientConfig:        p.TLS().Clone(),
			DisableKeepAlives:      true, // a process with one thread must not be held by an idle connection
			DisableCompression:     true,
			MaxResponseHeaderBytes: headSize,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
