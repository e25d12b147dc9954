package proxy_test

import (
	"strings"
	"testing"

	"spillway/proxy"
)

func TestCompileTemplate_Grammar(t *testing.T) {
	ex := sample(t)
	f := func(text, want string) {
		t.Helper()
		template, err := proxy.CompileTemplate(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			return
		}
		if got := string(template.Append([]byte("> "), ex)); got != "> "+want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
	f("", "")
	f("plain", "plain")
	f("$scheme", "http")
	f("${scheme}s", "https")
	f("$scheme://$host$request_uri", "http://example.org/a%20b?x=1&Y=two&y=3&empty=")
	f("$SCHEME", "http")
	f("$scheme$host", "httpexample.org")
	f("a$http_missing-b", "a-b")
	// What a client sends is never expanded again.
	f("$http_evil", "$remote_addr")
}

func TestCompileTemplate_Errors(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		_, err := proxy.CompileTemplate(text)
		if err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
	f("$request_tim", `unknown variable "$request_tim"; did you mean $request_time?`)
	f("a ${remote_adr} b", `unknown variable "$remote_adr"; did you mean $remote_addr?`)
	f("$Upstream_Adr", `unknown variable "$Upstream_Adr"; did you mean $upstream_addr?`)
	f("$zzzzzzzzzzzz", `unknown variable "$zzzzzzzzzzzz"`)
	f("$arg_", `unknown variable "$arg_"; did you mean $args?`)
	f("${scheme", `variable "${scheme": the closing brace is missing`)
	f("100$", `no variable name after "$" in "$"`)
	f("$-", `no variable name after "$" in "$-"`)
	f("${}", `no variable name after "$" in "${}"`)
}

func TestTemplate_IsConstant(t *testing.T) {
	f := func(text string, want bool) {
		t.Helper()
		if got := compile(t, text).IsConstant(); got != want {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
	f("", true)
	f("no-store", true)
	f("$scheme", false)
	f("a ${scheme} b", false)
}

func TestTemplate_AppendEscaped(t *testing.T) {
	ex := sample(t)
	upper := func(line []byte, from int) []byte {
		return append(line[:from], strings.ToUpper(string(line[from:]))...)
	}
	got := string(compile(t, "scheme $scheme, none $http_none, empty $arg_empty.").AppendEscaped(nil, ex, "-", upper))
	if want := "scheme HTTP, none -, empty ."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTemplate_AppendDoesNotAllocate(t *testing.T) {
	ex := sample(t)
	ex.RequestID()
	all := &strings.Builder{}
	for name := range samples {
		all.WriteString("$" + name + " ")
	}
	template := compile(t, all.String())
	dst := template.Append(nil, ex)
	if got := testing.AllocsPerRun(100, func() { dst = template.Append(dst[:0], ex) }); got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}

func FuzzCompileTemplate(f *testing.F) {
	for _, text := range []string{"", "$", "${", "${}", "$host", "${host}x$", "$arg_x$cookie_", "$$", "a$1b", "$http_\x00"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		template, err := proxy.CompileTemplate(text)
		if err != nil {
			return
		}
		if template.IsConstant() != !strings.Contains(text, "$") {
			t.Errorf("%q: got constant %v", text, template.IsConstant())
		}
		ex := sample(t)
		if got := string(template.Append(nil, ex)); template.IsConstant() && got != text {
			t.Errorf("got %q, want %q", got, text)
		}
	})
}

func compile(t *testing.T, text string) *proxy.Template {
	t.Helper()
	template, err := proxy.CompileTemplate(text)
	if err != nil {
		t.Fatal(err)
	}
	return template
}
