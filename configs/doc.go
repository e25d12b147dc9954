// Package configs is the configuration: its schema, its defaults, its validation and its YAML form.
//
// Load and Parse return a Config in which nothing is left to inherit and no value is missing: the short form has become
// a server, every Location carries its effective Settings, every path is absolute. What is wrong in a file comes back as
// Problems, all of them at once, each with file, line and key; a Config is returned only when there are none. CheckHost
// is the second step: it asks the machine whether commands and directories exist, so that a file can be checked on
// another machine than the one that runs it.
//
// A key that nginx has keeps nginx's name without its module prefix (fastcgi_buffers is buffers), and values keep nginx's
// grammar (8k, 60s, "256 8k"). The nearest value wins: location, then upstream, then server, then top level, then the
// default. As in nginx a map such as params is inherited as a whole or replaced as a whole, never merged.
//
// Another language than YAML builds a Config from DefaultConfig, DefaultUpstream and DefaultSettings, fills Places so that
// problems find their line, and calls Buffering.Derive and Config.Check.
//
// The package starts nothing, opens no file but the configuration, creates no directory and does not know which
// $variables exist.
package configs
