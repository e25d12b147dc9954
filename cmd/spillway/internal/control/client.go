package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Client speaks to an instance.
type Client struct {
	Identity Identity // whom it speaks to

	place Place
	http  *http.Client
}

// tries are how long an instance may take to say who it is. The first client of a pipe gets no answer under Wine, which
// has connected it to an instance of the pipe that nobody serves; the next one does. A busy machine needs the longer ones.
var tries = []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 4 * time.Second}

// maxAnswer bounds what is read of an answer: a status of thousands of processes is far below.
const maxAnswer = 16 << 20

// Find connects to the instance of the place. The error is a *NotRunningError or a *DeniedError when that is why.
func Find(ctx context.Context, p Place) (*Client, error) {
	c := &Client{place: p}
	c.http = &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, p) },
	}}
	var err error
	for _, timeout := range tries {
		if err = c.identify(ctx, timeout); err == nil || !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			break
		}
	}
	switch {
	case err == nil && folded(c.Identity.Path) != folded(p.Path):
		c.Close()
		return nil, fmt.Errorf("control: the spillway that answers, pid %d, runs %s", c.Identity.PID, c.Identity.Config)
	case err == nil:
		return c, nil
	case errors.Is(err, context.DeadlineExceeded):
		err = errors.New("control: the spillway that runs does not answer")
	}
	c.Close()
	return nil, err
}

// identify asks who is there.
func (c *Client) identify(ctx context.Context, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	text, err := c.do(ctx, http.MethodGet, "identity", nil)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &c.Identity); err != nil {
		return fmt.Errorf("control: the answer is none of spillway: %w", err)
	}
	return nil
}

// Close gives the connection back.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Reload lets it read its configuration again; nil when it serves the new one.
func (c *Client) Reload(ctx context.Context) error { return c.command(ctx, "reload", nil) }

// Reopen lets it open its log files anew.
func (c *Client) Reopen(ctx context.Context) error { return c.command(ctx, "reopen", nil) }

// Restart lets it replace the processes of an upstream, or of all when it is empty, and waits for them.
func (c *Client) Restart(ctx context.Context, upstream string) error {
	return c.command(ctx, "restart", restartRequest{upstream})
}

// Status returns what the handler Status returned, as JSON.
func (c *Client) Status(ctx context.Context) ([]byte, error) {
	return c.do(ctx, http.MethodGet, "status", nil)
}

// Why returns what the handler Why returned, as JSON; without an id the list.
func (c *Client) Why(ctx context.Context, id string) ([]byte, error) {
	name := "why"
	if id != "" {
		name += "/" + url.PathEscape(id)
	}
	return c.do(ctx, http.MethodGet, name, nil)
}

// Quit lets it end when its exchanges have, and returns when its process is gone.
func (c *Client) Quit(ctx context.Context) (Ending, error) { return c.end(ctx, "quit") }

// Stop lets it end at once, and returns when its process is gone.
func (c *Client) Stop(ctx context.Context) (Ending, error) { return c.end(ctx, "stop") }

// command asks for something that has no other result than an error.
func (c *Client) command(ctx context.Context, name string, body any) error {
	_, err := c.do(ctx, http.MethodPost, name, body)
	return err
}

// do sends a request and reads its answer.
func (c *Client) do(ctx context.Context, method, name string, body any) ([]byte, error) {
	resp, err := c.send(ctx, method, name, body)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	switch {
	case resp.StatusCode == http.StatusUnprocessableEntity:
		f := &LinesError{}
		if err := json.Unmarshal(text, f); err != nil {
			return nil, fmt.Errorf("control: %w", err)
		}
		return nil, f
	case resp.StatusCode >= http.StatusMultipleChoices:
		return nil, fmt.Errorf("control: %s: %s", resp.Status, bytes.TrimSpace(text))
	}
	return text, nil
}

func (c *Client) send(ctx context.Context, method, name string, body any) (*http.Response, error) {
	var content io.Reader = http.NoBody
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://spillway/"+name, content)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err == nil {
		return resp, nil
	}
	if missing, ok := errors.AsType[*NotRunningError](err); ok {
		return nil, missing
	}
	if denied, ok := errors.AsType[*DeniedError](err); ok {
		return nil, denied
	}
	return nil, fmt.Errorf("control: %w", err)
}

// end asks for the end and waits for it: the connection breaks when the process is gone.
func (c *Client) end(ctx context.Context, name string) (Ending, error) {
	gone := watch(c.Identity.PID)
	resp, err := c.send(ctx, http.MethodPost, name, nil)
	if err != nil {
		return Ending{}, err
	}
	defer resp.Body.Close()
	var ending Ending
	answer := json.NewDecoder(resp.Body)
	if err := answer.Decode(&ending); err != nil {
		return Ending{}, fmt.Errorf("control: it has ended without saying how: %w", err)
	}
	_, _ = io.Copy(io.Discard, io.MultiReader(answer.Buffered(), resp.Body))
	return ending, errors.Join(ctx.Err(), gone(ctx))
}
