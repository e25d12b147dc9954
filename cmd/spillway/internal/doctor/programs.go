package doctor

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"spillway/configs"
)

// checkLocalhost says where localhost is an IPv6 address first: a program that listens on 127.0.0.1 only is found after a refused
// connection, which on Windows takes half a second to two. Peers are not concerned: there localhost is 127.0.0.1.
func checkLocalhost(f *facts) []Finding {
	if len(f.localhost) == 0 || f.localhost[0].Unmap().Is4() {
		return nil
	}
	return []Finding{{
		Severity: Note, Topic: "localhost",
		Text: fmt.Sprintf("is %s first: write 127.0.0.1 in backends' settings and programs (databases, caches) alike", f.localhost[0]),
	}}
}

// checkCertificates tells of those that clients do not take any more, or soon.
func checkCertificates(f *facts) (findings []Finding) {
	for _, p := range f.expiry {
		findings = append(findings, Finding{
			Severity: Warning, Topic: "certificate", Text: p.Message, Fix: "renew it, and then: spillway reload",
		})
	}
	return findings
}

// PHP's variable, and what php-cgi does without it (max_requests of its cgi_main.c).
const (
	phpMaxRequests     = "PHP_FCGI_MAX_REQUESTS"
	phpDefaultRequests = 500
)

// checkPHP finds php-cgi processes that end by themselves before spillway replaces them: the requests that are on their way
// to such a one are lost, a 502 each time.
func checkPHP(f *facts) (findings []Finding) {
	inherited, set := f.lookupEnv(phpMaxRequests)
	for _, u := range f.config.Upstreams {
		b := u.Backend
		if b == nil || len(b.Command) == 0 || !isPHP(b.Command[0]) {
			continue
		}
		own, from := requestsOf(b, inherited, set)
		limit := b.MaxRequests + b.MaxRequestsJitter
		finding := Finding{Topic: "backend " + u.Name}
		switch {
		case own == 0 || b.MaxRequests > 0 && own > limit:
			finding.Text = "php-cgi does not end by itself before spillway replaces it"
		default:
			finding.Severity = Warning
			finding.Text = fmt.Sprintf("php-cgi ends by itself after %d requests (%s), and what waits for it then gets a 502", own, from)
			finding.Fix = `env: {PHP_FCGI_MAX_REQUESTS: "0"}`
			if b.MaxRequests == 0 {
				finding.Fix += ", and max_requests: 10000"
			}
		}
		findings = append(findings, finding)
	}
	return findings
}

// isPHP says whether a command is php-cgi, whatever its folder and system; the configuration may be another system's.
func isPHP(command string) bool {
	name := strings.ToLower(filepath.Base(strings.ReplaceAll(command, `\`, "/")))
	return strings.HasPrefix(name, "php-cgi")
}

// requestsOf returns after how many requests a php-cgi ends, 0 for never, and who says so.
func requestsOf(b *configs.Backend, inherited string, set bool) (n int, from string) {
	value, from := inherited, phpMaxRequests+" in the environment"
	if !set {
		value, from = strconv.Itoa(phpDefaultRequests), "its default"
	}
	for _, field := range b.Env {
		if field.Name == phpMaxRequests {
			value, from = field.Value, phpMaxRequests+" of the backend"
		}
	}
	n, err := strconv.Atoi(value)
	if err != nil {
		return 0, from // atoi of C: what is no number is 0
	}
	return max(n, 0), from
}
