// Package configs is the configuration: its schema, its defaults, its validation and its YAML form.
//
// Load and Parse return a Config in which nothing is left to inherit and no value is missing: the short form has become
// a server, every Location carries its effective Settings, every path is absolute. What is wrong in a file comes back as
// Problems, all of them at once, each with file, line and key; a Config is returned only when there are none. CheckHost
// is the second step: it asks the machine whether commands and directories exist and kinds of programs run there, so that a
// file can be checked on another machine than the one that runs it.
//
// A key that nginx has keeps nginx's name without its module prefix (fastcgi_buffers is buffers), and values keep nginx's
// grammar (8k, 60s, "256 8k"). The nearest value wins: location, then upstream, then server, then top level, then the
// default. As in nginx a map such as params is inherited as a whole or replaced as a whole, never merged.
//
// The kind of an upstream's program (kind.go) is a layer above the defaults: it fills what is known of such programs and not
// written, and what contradicts it is a problem. Only a php-cgi is recognised without its kind: it would end by itself
// after 500 requests, and nobody would think of it. gunicorn, uwsgi, waitress and flask are programs that run as well
// without, and one kind that appears by itself would change how many requests they get; so theirs is written.
//
// Equal compares two values of configurations, wherever they are written: what a reload has to know.
//
// Another language than YAML builds a Config from DefaultConfig, DefaultUpstream and DefaultSettings, fills Places so that
// problems find their line, and calls Settings.Derive and Config.Check.
//
// The package starts nothing, opens no file but the configuration, creates no directory and does not know which
// $variables exist.
package configs
