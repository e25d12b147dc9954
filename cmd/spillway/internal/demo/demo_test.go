package demo

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"spillway/configs"
)

func TestConfig_IsRight(t *testing.T) {
	// Folders have such names, and YAML has a meaning for most of these signs.
	for _, exe := range []string{"/usr/bin/spillway", `C:\Program Files\it's "new": #1\spillway.exe`, "/opt/TEMP/{a}/spillway"} {
		config, err := configs.Parse(Name, Config(exe))
		if err != nil {
			t.Errorf("%s: %v", exe, err)
			continue
		}
		backend := config.Upstreams[0].Backend
		if backend.Command[0] != exe || backend.Processes.Max != 8 || backend.Ports != nil {
			t.Errorf("got %+v, want eight processes of %s", backend, exe)
		}
		if config.TempPath != tempPath() || config.AccessLog.Path != "" || config.ErrorLog.Path != configs.Stderr {
			t.Errorf("got files %q, %q, %q", config.TempPath, config.AccessLog.Path, config.ErrorLog.Path)
		}
		for _, address := range []string{config.Servers[0].Listen[0].Address, config.Admin.Address} {
			if !strings.HasPrefix(address, "127.0.0.1:") {
				t.Errorf("the demo listens on %s, for all to see", address)
			}
		}
	}
}

func TestHandler_Pages(t *testing.T) {
	application := handler("9003", "3")
	f := func(method, target, body string, status int, want string) {
		t.Helper()
		answer := httptest.NewRecorder()
		application.ServeHTTP(answer, httptest.NewRequest(method, target, strings.NewReader(body)))
		if got := answer.Body.String(); answer.Code != status || !strings.Contains(got, want) {
			t.Errorf("%s %s: got %d %.200q, want %d %q", method, target, answer.Code, got, status, want)
		}
	}
	f(http.MethodGet, "/", "", 200, "<b>process 3</b> of eight, pid ")
	f(http.MethodGet, "/", "", 200, "on port 9003")
	f(http.MethodGet, "/none", "", 404, "")
	sum := sha256.Sum256([]byte("hello"))
	f(http.MethodPost, "/echo", "hello", 200, "5 "+hex.EncodeToString(sum[:])+"\n")
	f(http.MethodGet, "/echo", "", 405, "")
	for _, query := range []string{"", "?mb=0", "?mb=1025", "?mb=x", "?mb=-1"} {
		f(http.MethodGet, "/big"+query, "", 400, "ask for /big?mb=20, with 1 to 1024")
	}
	f(http.MethodGet, "/stderr", "", 200, "see the error log")

	answer := httptest.NewRecorder()
	application.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/big?mb=2", nil))
	if got := answer.Body.Len(); got != 2<<20 || answer.Header().Get("Content-Length") != "2097152" {
		t.Errorf("got %d bytes, declared %s", got, answer.Header().Get("Content-Length"))
	}
}
