// Command imports checks the rules of the design that a compiler does not: who may import whom, what stands at the top level,
// how packages are named and how long files are. It prints one line for each violation and then exits with 1.
//
//	go run ./.ci/imports        in the root of the module
package main

import (
	"bytes"
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"log"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// module is the import path of the root.
const module = "spillway"

func main() {
	log.SetFlags(0)
	ctx := context.Background()
	c := &checker{fset: token.NewFileSet(), documented: map[string]bool{}}
	if err := c.checkTopLevel(ctx); err != nil {
		log.Fatal(err)
	}
	if err := c.checkTree("."); err != nil {
		log.Fatal(err)
	}
	c.checkDocs()

	slices.Sort(c.violations)
	for _, v := range c.violations {
		log.Print(v)
	}
	if len(c.violations) > 0 {
		log.Fatalf("%d violations of the design; the rules are in .ci/imports/table.go", len(c.violations))
	}
	log.Printf("%d files in %d packages keep the rules", c.files, len(c.documented))
}

// A checker walks the tree once and collects what breaks a rule.
type checker struct {
	fset       *token.FileSet
	files      int
	documented map[string]bool // by package: whether it has a doc.go, or needs none
	violations []string        // "place: what is wrong"
}

func (c *checker) report(place, format string, args ...any) {
	c.violations = append(c.violations, place+": "+fmt.Sprintf(format, args...))
}

// checkTopLevel asks git, because what a build leaves behind is ignored there.
func (c *checker) checkTopLevel(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, "git", "ls-files", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		return fmt.Errorf("git ls-files: %w", err)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		top, _, _ := strings.Cut(strings.TrimSpace(line), "/")
		if seen[top] || strings.HasPrefix(top, ".") || slices.Contains(topLevel, top) {
			continue
		}
		seen[top] = true
		c.report(top, "nothing but %s and hidden files stand at the top level", strings.Join(topLevel, ", "))
	}
	return nil
}

// checkTree checks each Go file below root. A folder with a go.mod of its own is somebody else's code.
func (c *checker) checkTree(root string) error {
	return filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			_, noModule := os.Stat(filepath.Join(name, "go.mod"))
			if name != root && (entry.Name() == ".git" || entry.Name() == "testdata" || noModule == nil) {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		return c.checkFile(filepath.ToSlash(name))
	})
}

// checkFile checks one Go file, named from the root.
func (c *checker) checkFile(name string) error {
	src, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	file, err := parser.ParseFile(c.fset, name, src, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	c.files++
	pkg := path.Dir(name)
	isTest := strings.HasSuffix(name, "_test.go")
	if path.Base(name) == "doc.go" || file.Name.Name == "main" {
		c.documented[pkg] = true
	} else if !isTest {
		c.documented[pkg] = c.documented[pkg] || false
	}

	if lines := bytes.Count(src, []byte("\n")); lines > maxLines {
		c.report(name, "%d lines, more than %d", lines, maxLines)
	}
	if slices.Contains(vagueNames, strings.TrimSuffix(file.Name.Name, "_test")) {
		c.report(name, "a package is named by what it provides, not %s", file.Name.Name)
	}
	for _, spec := range file.Imports {
		c.checkImport(pkg, isTest, spec)
	}
	if !isTest {
		c.checkBody(pkg, file)
	}
	return nil
}

// checkImport checks one import of a file in pkg against the tables.
func (c *checker) checkImport(pkg string, isTest bool, spec *ast.ImportSpec) {
	place := c.fset.Position(spec.Pos()).String()
	imported, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		c.report(place, "import path %s: %v", spec.Path.Value, err)
		return
	}
	first, _, _ := strings.Cut(imported, "/")
	switch {
	case first == module:
		c.checkOurs(place, pkg, isTest, strings.TrimPrefix(imported, module+"/"))
	case strings.Contains(first, "."):
		c.checkTheirs(place, pkg, isTest, imported)
		if imported == fasthttp && spec.Name != nil && pkg != fasthttpHome {
			c.report(place, "import fasthttp by its own name, so that its use can be checked")
		}
	}
}

func (c *checker) checkOurs(place, pkg string, isTest bool, imported string) {
	if isTest && (imported == pkg || !matches("cmd/...", imported) || matches("cmd/...", pkg)) {
		return
	}
	for _, row := range ours {
		if !matches(row.pkg, pkg) {
			continue
		}
		if !slices.ContainsFunc(row.uses, func(use string) bool { return matches(use, imported) }) {
			c.report(place, "%s may not import %s", pkg, imported)
		}
		return
	}
}

func (c *checker) checkTheirs(place, pkg string, isTest bool, imported string) {
	for _, row := range theirs {
		if !matches(row.module+"/...", imported) {
			continue
		}
		if !isTest && !slices.ContainsFunc(row.users, func(user string) bool { return matches(user, pkg) }) {
			c.report(place, "%s may not import %s", pkg, row.module)
		}
		return
	}
	c.report(place, "%s is not among the modules that may be imported", imported)
}

// checkBody looks for what an import alone does not show.
func (c *checker) checkBody(pkg string, file *ast.File) {
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Name.Name == "init" && n.Recv == nil {
				c.report(c.fset.Position(n.Pos()).String(), "no init(): what a package needs is given to it")
			}
		case *ast.SelectorExpr:
			x, ok := n.X.(*ast.Ident)
			if !ok {
				break
			}
			place := c.fset.Position(n.Pos()).String()
			if x.Name == "fasthttp" && pkg != fasthttpHome && !slices.Contains(headTypes, n.Sel.Name) {
				c.report(place, "fasthttp.%s: outside %s only %s are used", n.Sel.Name, fasthttpHome, strings.Join(headTypes, " and "))
			}
			if x.Name == "runtime" && n.Sel.Name == "GOOS" {
				c.report(place, "no runtime.GOOS: what differs stands in files of the platform")
			}
		}
		return true
	})
}

// checkDocs reports packages that the table does not know and those without a doc.go.
func (c *checker) checkDocs() {
	for pkg, documented := range c.documented {
		if !documented {
			c.report(pkg, "the package has no doc.go")
		}
		known := false
		for _, row := range ours {
			known = known || matches(row.pkg, pkg)
		}
		if !known {
			c.report(pkg, "the package is not in the table of the design")
		}
	}
}

// matches reports whether pattern, a path or a path with "/..." at its end, covers name. "..." covers everything.
func matches(pattern, name string) bool {
	if pattern == "..." {
		return true
	}
	prefix, below := strings.CutSuffix(pattern, "/...")
	return name == prefix || below && strings.HasPrefix(name, prefix+"/")
}
