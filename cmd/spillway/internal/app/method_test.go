package app_test

import (
	"crypto/md5"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"spillway/upstream/porttest"
)

// TestApp_ChoosesByItsMethod starts each method with three peers; what it says about the requests shows which one runs.
func TestApp_ChoosesByItsMethod(t *testing.T) {
	for method, want := range map[string]func(first, again, other string) bool{
		"round_robin":                   func(first, again, _ string) bool { return first != again },
		"least_conn":                    func(first, again, _ string) bool { return first != again },
		"least_time header":             nil, // any
		"least_time last_byte inflight": nil, // any
		"ip_hash":                       func(first, again, _ string) bool { return first == again },
		"hash $arg_k":                   func(first, again, other string) bool { return first == again && first != other },
		"hash $arg_k consistent":        func(first, again, other string) bool { return first == again && first != other },
		"random":                        nil, // any
		"random two least_conn":         nil, // any
	} {
		t.Run(method, func(t *testing.T) {
			addr := porttest.Address(t)
			r := start(t, fmt.Sprintf("listen: [%q]\nupstreams:\n  a:\n    method: %s\n    slow_start: 0\n    peers: [%q, %q, %q]\n",
				addr, method, peer(t, "a"), peer(t, "b"), peer(t, "c")))
			_, first := ask(t, "http://"+addr+"/?k=1", nil)
			_, again := ask(t, "http://"+addr+"/?k=1", nil)
			other := first
			for k := 2; other == first && k < 100 && strings.HasPrefix(method, "hash"); k++ {
				_, other = ask(t, fmt.Sprintf("http://%s/?k=%d", addr, k), nil)
			}
			if want != nil && !want(first, again, other) {
				t.Errorf("got %s, %s, %s", first, again, other)
			}
			measured := 0
			for _, p := range r.Status().Upstreams[0].Peers {
				if p.HeadTime > 0 && p.ResponseTime >= p.HeadTime && p.Requests > 0 {
					measured++
				}
			}
			if measured == 0 {
				t.Error("no peer shows how long it took")
			}
		})
	}
}

func TestApp_StickyBindsToAPeerThatIsDrained(t *testing.T) {
	addr := porttest.Address(t)
	r := start(t, fmt.Sprintf(`
listen: [%q]
upstreams:
  a:
    method: least_conn
    sticky: {cookie: route, expires: 1h, httponly: on, secure: on, samesite: strict}
    peers: [%q, {address: %q, drain: on}]
`, addr, peer(t, "a"), peer(t, "b")))
	response, body := ask(t, "http://"+addr, nil)
	cookies := response.Cookies()
	if body != "a /" || len(cookies) != 1 || !cookies[0].HttpOnly || !cookies[0].Secure || cookies[0].MaxAge != 3600 ||
		cookies[0].SameSite != http.SameSiteStrictMode || cookies[0].Path != "/" {
		t.Errorf("got %s from %s", cookies, body)
	}
	status := r.Status().Upstreams[0].Peers
	if status[1].State != "drain" {
		t.Errorf("got state %s, want drain", status[1].State)
	}
	route := fmt.Sprintf("%x", md5.Sum([]byte(status[1].Address))) // as in nginx
	for range 3 {
		_, body = ask(t, "http://"+addr, func(r *http.Request) { r.Header.Set("Cookie", "route="+route) })
		if body != "b /" {
			t.Errorf("got %s, want the peer that the client is bound to", body)
		}
	}
}
