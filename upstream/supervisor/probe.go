package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

const (
	pollMin = 10 * time.Millisecond // between two tries to connect, doubled up to pollMax
	pollMax = 250 * time.Millisecond
	// A connect on loopback takes microseconds. Windows tries for two seconds when nobody listens, hence the short limit.
	dialTimeout = 250 * time.Millisecond
	// A request may wait for the first answer of a framework that loads itself then; an answer that was lost in a
	// restart inside the process is asked for again.
	probeTimeout  = 10 * time.Second
	retryMin      = 50 * time.Millisecond
	retryMax      = time.Second
	probeBodySize = 64 << 10 // bytes of an answer that are read at most
)

// awaitReady returns nil once the run is ready, and the last reason why it is not when ctx ends.
func awaitReady(ctx context.Context, r *run, how Readiness) error {
	port := r.place.port
	if err := awaitAccept(ctx, port); err != nil {
		return fmt.Errorf("%w; %s", err, r.listensOn())
	}
	if err := r.checkOwner(port); err != nil {
		return err
	}
	if how.Path != "" {
		if err := awaitAnswer(ctx, port, how); err != nil {
			return err
		}
	}
	ask := how.Ask
	if ask == nil {
		ask = askHTTP
	}
	for _, path := range how.Warmup {
		if err := warmUp(ctx, port, path, ask); err != nil {
			return fmt.Errorf("warm-up: %w", err)
		}
	}
	return nil
}

// awaitSettled returns when the time is over, or with an error when ctx ends before.
func awaitSettled(ctx context.Context, settle time.Duration) error {
	if settle == 0 {
		return nil
	}
	select {
	case <-time.After(settle):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// awaitAccept tries to connect until it works.
func awaitAccept(ctx context.Context, port int) error {
	dialer := &net.Dialer{Timeout: dialTimeout}
	for wait := pollMin; ; wait = min(2*wait, pollMax) {
		conn, err := dialer.DialContext(ctx, "tcp4", address(port))
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
		}
	}
}

// awaitAnswer asks for the path until the status is 2xx.
func awaitAnswer(ctx context.Context, port int, how Readiness) error {
	if how.Ask == nil {
		return awaitHTTP(ctx, "http://"+address(port)+how.Path)
	}
	for wait := retryMin; ; wait = min(2*wait, retryMax) {
		err := askOnce(ctx, port, how)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
		}
	}
}

func askOnce(ctx context.Context, port int, how Readiness) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	status, err := how.Ask(ctx, port, how.Path)
	if err != nil {
		return fmt.Errorf("GET %s: %w", how.Path, err)
	}
	if status/100 != 2 {
		return wrongStatus(how.Path, status)
	}
	return nil
}

// awaitHTTP asks for target until the answer's status is 2xx.
func awaitHTTP(ctx context.Context, target string) error {
	var last error // why the last answer did not count; the client itself knows only that it gave up
	client := retryablehttp.NewClient()
	client.Logger = nil
	client.HTTPClient = probeClient(probeTimeout)
	client.RetryMax = math.MaxInt
	client.RetryWaitMin, client.RetryWaitMax = retryMin, retryMax
	// The default follows Retry-After, with which a process that is still loading could put us to sleep for an hour.
	client.Backoff = func(least, most time.Duration, attempt int, _ *http.Response) time.Duration {
		return min(least<<min(attempt, 10), most)
	}
	client.CheckRetry = func(ctx context.Context, resp *http.Response, err error) (bool, error) {
		if err == nil && resp.StatusCode/100 == 2 {
			return false, nil
		}
		if last = err; err == nil {
			last = errors.New("GET " + target + ": " + resp.Status)
		}
		return ctx.Err() == nil, ctx.Err()
	}
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil && last != nil {
		return last
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, probeBodySize) // only the status counts; read so that the process sees no reset
	return nil
}

// warmUp asks for a path once. Any answer is fine but one that says that the process is not able to.
func warmUp(ctx context.Context, port int, path string, ask func(context.Context, int, string) (int, error)) error {
	status, err := ask(ctx, port, path) // ctx bounds it: an application may load for long
	if err != nil {
		return fmt.Errorf("GET %s: %w", path, err)
	}
	if status >= http.StatusInternalServerError {
		return wrongStatus(path, status)
	}
	return nil
}

func wrongStatus(path string, status int) error {
	return fmt.Errorf("GET %s: %d %s", path, status, http.StatusText(status))
}

// askHTTP is Readiness.Ask over HTTP.
func askHTTP(ctx context.Context, port int, path string) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address(port)+path, http.NoBody)
	if err != nil {
		return 0, err
	}
	resp, err := probeClient(0).Do(req)
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return 0, wrapped.Err // without the method and the URL, which the caller names
	}
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, probeBodySize)
	return resp.StatusCode, nil
}

func probeClient(timeout time.Duration) *http.Client {
	return &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{ // without Proxy: the environment must not lead a probe elsewhere
			DialContext:       (&net.Dialer{Timeout: dialTimeout}).DialContext,
			DisableKeepAlives: true, // a process with one worker must not be held by an idle connection
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
