package configs

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The tables of the schema are the subject here, so these tests see the internals.

// TestDefaults_AreDocumented loads a file that writes every value, and one that writes none: they must be equal.
func TestDefaults_AreDocumented(t *testing.T) {
	full, err := Load("examples/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	bare, err := Parse("examples/full.yaml", []byte(`
upstreams:
  app: {backend: {command: [app, --port, "{port}"]}}
  elsewhere: {peers: [127.0.0.1:9101, app.internal:9102]}
servers:
  - {listen: 8080, locations: [{path: /, pass: app}, {path: /elsewhere/, pass: elsewhere}]}
`))
	if err != nil {
		t.Fatal(err)
	}
	clearPlaces(reflect.ValueOf(full))
	clearPlaces(reflect.ValueOf(bare))
	compare(t, "config", reflect.ValueOf(*full), reflect.ValueOf(*bare))
}

// TestFull_HasEveryKey compares the keys of each section of full.yaml with the schema.
func TestFull_HasEveryKey(t *testing.T) {
	data, err := os.ReadFile("examples/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	top, problems := parseYAML("full.yaml", data)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	f := func(n *node, keys []string, except ...string) {
		t.Helper()
		written := map[string]bool{}
		for _, p := range n.pairs {
			written[p.key] = true
		}
		for _, key := range except {
			written[key] = true
		}
		for _, key := range keys {
			if !written[key] {
				t.Errorf("%s is not in full.yaml at %q", key, n.place.Key)
			}
		}
	}
	f(top, keys(topFields()), "listen", "tls") // only without servers; full.yaml has them in a comment
	f(top, keys(clientFields()))
	f(top, keys(settingFields()))
	f(top.at(t, "access_log"), keys(accessLogFields()))
	f(top.at(t, "error_log"), keys(errorLogFields()))
	f(top.at(t, "why"), keys(whyFields()))
	f(top.at(t, "resolver"), keys(resolverFields()))
	server := top.at(t, "servers").items[0]
	f(server, keys(serverFields()), "tls") // in a comment
	f(server.at(t, "locations").items[0], keys(locationFields()))
	app := top.at(t, "upstreams").at(t, "app")
	f(app, keys(upstreamFields()), "peers") // in the other upstream
	f(app.at(t, "queue"), keys(queueFields()))
	f(app.at(t, "retry_budget"), keys(retryBudgetFields()))
	f(app.at(t, "poison_guard"), keys(poisonGuardFields()))
	f(app.at(t, "backend"), keys(backendFields()))
	f(app.at(t, "backend").at(t, "ready"), keys(readyFields()))
	f(app.at(t, "backend").at(t, "output"), keys(outputFields()))
	f(top.at(t, "upstreams").at(t, "elsewhere").at(t, "peers").items[1], keys(peerFields()))
}

// TestFull_HasWhatIsOff looks for sections whose default is another form, and so are in comments.
func TestFull_HasWhatIsOff(t *testing.T) {
	data, err := os.ReadFile("examples/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range slices.Concat(keys(rotateFields()), keys(processesFields()), keys(healthFields()), keys(matchFields()), keys(stickyFields()), keys(serverTLSFields())) {
		if !regexp.MustCompile(`(?m)^ +#( +#)?  ` + key + `:`).Match(data) {
			t.Errorf("%s is not in a comment of full.yaml", key)
		}
	}
}

// TestFull_HasEveryKind compares the table of kinds in full.yaml with the presets.
func TestFull_HasEveryKind(t *testing.T) {
	data, err := os.ReadFile("examples/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	flat := regexp.MustCompile(`\n# +`).ReplaceAllString(strings.ReplaceAll(string(data), `"`, ""), " ")
	for _, p := range append(presets(), preset{name: generic, protocols: []Protocol{HTTP}}) {
		row := regexp.MustCompile(`(?m)^#   ` + p.name + ` +(\S+) +(\d+)\b.* (\d+)(  .*)?$`).FindStringSubmatch(string(data))
		want := []string{string(p.protocols[0]), strconv.Itoa(p.concurrency), strconv.Itoa(p.keepalive)}
		if row == nil || !slices.Equal(row[1:4], want) {
			t.Errorf("%s: full.yaml has %q, want %q", p.name, row, want)
		}
		words := strings.Replace(strings.Join(p.command, ", "), interpreter+",", "python3,", 1) // full.yaml is for Linux
		if !strings.Contains(flat, words) {
			t.Errorf("%s: full.yaml has no command [%s]", p.name, words)
		}
	}
}

func (n *node) at(t *testing.T, key string) *node {
	t.Helper()
	for _, p := range n.pairs {
		if p.key == key {
			return p.value
		}
	}
	t.Fatalf("no %s at %q", key, n.place.Key)
	return nil
}

// clearPlaces removes where values were written, everywhere in v.
func clearPlaces(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			clearPlaces(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			clearPlaces(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Type == reflect.TypeFor[Places]() {
				v.Field(i).SetZero()
			} else {
				clearPlaces(v.Field(i))
			}
		}
	default: // holds no places
	}
}

// compare names each field that differs.
func compare(t *testing.T, name string, full, bare reflect.Value) {
	t.Helper()
	switch full.Kind() {
	case reflect.Pointer:
		if !full.IsNil() && !bare.IsNil() {
			compare(t, name, full.Elem(), bare.Elem())
			return
		}
	case reflect.Struct:
		for i := range full.NumField() {
			if field := full.Type().Field(i); field.IsExported() {
				compare(t, name+"."+field.Name, full.Field(i), bare.Field(i))
			}
		}
		return
	case reflect.Slice:
		if full.Len() == bare.Len() {
			for i := range full.Len() {
				compare(t, name, full.Index(i), bare.Index(i))
			}
			return
		}
	default: // compared as a whole
	}
	if !reflect.DeepEqual(full.Interface(), bare.Interface()) {
		t.Errorf("%s: full.yaml has %v, the default is %v", name, full.Interface(), bare.Interface())
	}
}
