package app

import (
	"crypto/tls"
	"fmt"
	"strings"

	"spillway/configs"
	"spillway/proxy/routing"
)

// newListenersTLS reads the certificates of the servers, and returns what the clients of each address with tls are secured with.
func newListenersTLS(config *configs.Config) (map[string]*tls.Config, error) {
	all := map[string]*tls.Config{}
	for _, l := range config.Listeners() {
		if !l.TLS {
			continue
		}
		made, err := newListenerTLS(l)
		if err != nil {
			return nil, fmt.Errorf("listen %s: %w", l.Address, err)
		}
		all[l.Address] = made
	}
	return all, nil
}

// newListenerTLS returns the default server's, which gives way to that of the server whose name the client asks for. Names are found
// as for requests.
func newListenerTLS(l *configs.Listener) (*tls.Config, error) {
	var names routing.Builder[*tls.Config]
	var first *tls.Config
	for _, s := range l.Servers {
		made, err := newServerTLS(&s.TLS)
		if err != nil {
			return nil, err
		}
		if s == l.Default {
			first = made
		}
		paths, err := names.Server(s.Names, routing.DefaultServer(s == l.Default))
		if err != nil {
			return nil, err
		}
		if err := paths.Location(routing.Pattern{Path: "/"}, made); err != nil {
			return nil, err
		}
	}
	if len(l.Servers) == 1 {
		return first, nil
	}
	table := names.Build()
	chosen := first.Clone()
	chosen.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		made, _ := table.Find([]byte(strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))), []byte("/"))
		return made, nil
	}
	return chosen, nil
}

func newServerTLS(t *configs.ServerTLS) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(t.Certificate, t.CertificateKey)
	if err != nil {
		return nil, err
	}
	made := &tls.Config{
		Certificates: []tls.Certificate{pair},
		NextProtos:   []string{"http/1.1"},
		// A record is as long as it may be, as in nginx: short ones at first would be a system call each.
		DynamicRecordSizingDisabled: true,
	}
	made.MinVersion, made.MaxVersion = t.Versions()
	return made, nil
}
