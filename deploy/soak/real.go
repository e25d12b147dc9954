package main

import (
	"context"
	"embed"
	"io/fs"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// applications do what backend.go does, in other languages.
//
//go:embed real
var applications embed.FS

// installed are the services of other programs that this machine has. Their applications are written to a folder.
func installed(ctx context.Context, folder string) ([]*service, error) {
	files, err := fs.Sub(applications, "real")
	if err != nil {
		return nil, err
	}
	if err := os.CopyFS(folder, files); err != nil {
		return nil, err
	}
	var found []*service
	for _, one := range others(folder) {
		if out, err := exec.CommandContext(ctx, one.check[0], one.check[1:]...).CombinedOutput(); err != nil {
			log.Printf("without %s: %v %s", one.name, err, strings.TrimSpace(string(out)))
			continue
		}
		s := one.service
		s.processes, s.largest = 2, 200<<10
		s.settings += ", concurrency: 1"
		s.backend += ", directory: " + quoted(folder)
		if s.prefix == "" {
			s.prefix = "/" + s.name + "/"
		}
		found = append(found, s)
	}
	return found, nil
}

// An other is a program that is not ours, and a command that succeeds when it is installed.
type other struct {
	*service

	check []string
}

func others(folder string) []other {
	all := []other{
		{
			service: &service{
				name: "php", prefix: "/php/index.php/", settings: "protocol: fastcgi",
				command: "[php-cgi, -b, '127.0.0.1:{port}']", env: ", PHP_FCGI_MAX_REQUESTS: '0'",
				location: ", root: " + quoted(filepath.ToSlash(folder)) + `, split_path_info: '^(.+?\.php)(/.*)$'`,
			},
			check: []string{"php-cgi", "-v"},
		},
		{
			service: &service{
				name: "gunicorn", settings: "protocol: http", ends: declared, env: ", SOAK_PARENT: '1'",
				command: "[gunicorn, -b, '127.0.0.1:{port}', -w, '1', 'app:app']",
			},
			check: []string{"gunicorn", "--version"},
		},
	}
	for _, protocol := range []string{"http", "fastcgi", "scgi", "uwsgi"} {
		all = append(all, other{
			service: &service{
				name: "uwsgi-" + protocol, settings: "protocol: " + protocol, ends: declared,
				command: "[uwsgi, --plugin, python3, --" + protocol + "-socket, '127.0.0.1:{port}', --module, 'app:app'," +
					" --need-app, --die-on-term, --disable-logging]",
			},
			check: []string{"uwsgi", "--plugin", "python3", "--version"},
		})
	}
	return all
}
