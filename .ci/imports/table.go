package main

// The rules of the design as data. A change here is a change of the design: it needs its reason in the same commit.

// topLevel is what may stand in the repository's root; hidden files and folders may too.
var topLevel = []string{
	"cmd", "proxy", "balancer", "upstream", "buffering", "configs", "deploy", "go.mod", "go.sum", "README.md",
}

// ours says which of our packages a package may import, from the bottom up. "/..." means a package and all below it.
// A package that is not listed may not exist. Test files may import all of ours but cmd.
var ours = []struct {
	pkg  string
	uses []string
}{
	// The one thing that those who open files by Windows' system call have in common.
	{"buffering/winpath", nil},
	{"buffering", []string{"buffering/winpath"}},
	{"proxy/routing", nil},
	{"proxy/httpfield", nil},
	{"proxy/logfile", []string{"buffering/winpath"}},
	{"upstream/socket", nil},
	{"upstream/host", nil},
	{"upstream/supervisor", []string{"upstream/host"}},
	{"configs", nil},

	{"configs/nginx", []string{"configs"}},
	{"upstream", []string{"upstream/socket", "proxy/httpfield"}},
	{"proxy", []string{"proxy/routing", "proxy/httpfield", "upstream/socket"}},

	{"upstream/cgi", []string{"upstream", "proxy/httpfield"}},
	{"upstream/http1", []string{"upstream", "proxy/httpfield"}},
	{"upstream/health", []string{"upstream"}},
	{"upstream/resolve", []string{"upstream"}},
	{"upstream/resolve/dnstest", nil},
	{"upstream/certtest", nil},
	{"upstream/porttest", nil},
	{"upstream/upstreamtest", []string{"upstream"}},
	{"balancer", []string{"upstream"}},
	{"proxy/rewrite", []string{"proxy"}},
	{"proxy/static", []string{"proxy"}},
	{"proxy/cache", []string{"proxy", "buffering"}},
	{"proxy/downstream", []string{"proxy", "proxy/httpfield", "upstream/socket"}},
	{"proxy/accesslog", []string{"proxy"}},
	{"proxy/errorlog", []string{"proxy"}},
	{"proxy/metrics", []string{"proxy"}},
	{"proxy/dashboard", []string{"proxy"}},
	{"proxy/why", []string{"proxy"}},

	{"upstream/fastcgi", []string{"upstream", "upstream/cgi"}},
	{"upstream/scgi", []string{"upstream", "upstream/cgi"}},
	{"upstream/uwsgi", []string{"upstream", "upstream/cgi"}},
	{"proxy/relay", []string{"proxy", "proxy/httpfield", "balancer", "upstream", "buffering"}},

	{"cmd/spillway/...", []string{
		"proxy/...", "balancer", "upstream/...", "buffering", "configs/...", "cmd/spillway/internal/...",
	}},

	{"deploy/...", []string{"deploy/..."}},
	{".ci/imports", nil},
}

// theirs says which of our packages may import a module; what is not listed may not be imported at all. Test files may import
// any of these.
var theirs = []struct {
	module string
	users  []string
}{
	// Outside proxy/downstream only headTypes: see there.
	{fasthttp, []string{"proxy/...", "upstream/...", "balancer", "cmd/..."}},
	{"gopkg.in/yaml.v3", []string{"configs"}},
	{"github.com/prometheus/client_golang", []string{"proxy/metrics", "cmd/..."}},
	{"github.com/prometheus/client_model", []string{"proxy/metrics", "cmd/..."}},
	{"github.com/hashicorp/go-retryablehttp", []string{"upstream/supervisor", "upstream/health", "cmd/..."}},
	{"github.com/alecthomas/kong", []string{"cmd/..."}},
	{"golang.org/x/sys", []string{"..."}},
	// The messages of DNS (dns/dnsmessage), of which net.Resolver says everything but the TTL.
	{"golang.org/x/net", []string{"upstream/resolve/..."}},
	// Named pipes, by which commands reach the spillway that runs on Windows.
	{"github.com/Microsoft/go-winio", []string{"cmd/..."}},
}

// fasthttp is known by name in proxy/downstream only; elsewhere its two header types serve as the neutral message head.
const fasthttp = "github.com/valyala/fasthttp"

var (
	fasthttpHome = "proxy/downstream"
	headTypes    = []string{"RequestHeader", "ResponseHeader"}
)

// vagueNames name no job: a function that fits nowhere belongs beside its only caller.
var vagueNames = []string{"util", "utils", "common", "helper", "helpers", "types", "base"}

// maxLines is the length at which a Go file has more than one subject.
const maxLines = 500
