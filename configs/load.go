package configs

import (
	"fmt"
	"os"
	"path/filepath"
)

// From a file to a Config:
//
//  1. parseYAML makes a tree of nodes with places, and refuses what is not well-formed.
//  2. section reads the tree into a draft by the tables of the schema, and refuses unknown keys and wrong values.
//  3. resolve lets locations inherit, and makes a server of the short form.
//  4. Check compares the values with each other.
//
// Each step goes on after a problem, so that all of them are seen at once.

// Load reads the configuration in the file at path. The error is Problems, or says in one line why the file could not be
// read. Beside Problems there is a Config of what could be read, for further checks only; nil if that is nothing.
func Load(path string) (*Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return Parse(path, data)
}

// Parse reads the configuration in data. name stands in problems, and its folder is where relative paths begin. The error
// is Problems, but for a current folder that cannot be determined. What is beside Problems is said at Load.
func Parse(name string, data []byte) (*Config, error) {
	dir, err := filepath.Abs(filepath.Dir(name))
	if err != nil {
		return nil, fmt.Errorf("configuration: folder of %s: %w", name, err)
	}
	tree, problems := parseYAML(name, data)
	if tree == nil {
		return nil, problems
	}

	d := draft{Config: DefaultConfig(dir)}
	d.File = name
	r := reader{dir: dir}
	d.Places = section(&r, tree, &d, allTopFields())
	d.Templates = r.templates
	problems = append(problems, r.problems...)
	if tree.kind == mapping {
		problems = append(problems, d.resolve()...)
		problems = append(problems, d.Check()...)
	}
	config := d.Config
	if len(problems) > 0 {
		return &config, problems.sorted()
	}
	return &config, nil
}
