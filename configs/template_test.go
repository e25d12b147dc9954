package configs_test

import (
	"reflect"
	"slices"
	"testing"

	"spillway/configs"
)

// A key whose value has $variables stands in this file, and each of its texts in Config.Templates: a new one that is left out here
// or not noted there fails the test.
func TestTemplate_NoneIsForgotten(t *testing.T) {
	c, err := configs.Parse("s.yaml", []byte(`
access_log: {path: a.log, format: "1 $host"}
upstreams:
  app:
    peers: [127.0.0.1:9001]
    method: hash $request_uri
    set_header: {X-A: "2 $host"}
    params: {A: "3 $host"}
    redirect: {"4 $host": "5 $host"}
    cookie_domain: {"6 $host": "7 $host"}
    cookie_path: {"/8$host": "/9$host"}
    add_header: {X-A: "10 $host", X-B: {value: "11 $host"}}
    error_page: {404: "=200 /12$host"}
servers: [{listen: 80, locations: [{path: /, pass: app}]}]
`))
	if err != nil {
		t.Fatal(err)
	}
	var noted []configs.Template
	for _, w := range c.Templates {
		noted = append(noted, w.Text)
	}
	want := []configs.Template{
		"1 $host", "$request_uri", "2 $host", "3 $host", "4 $host", "5 $host", "6 $host", "7 $host", "/8$host", "/9$host",
		"10 $host", "11 $host", "/12$host",
	}
	slices.Sort(noted)
	slices.Sort(want)
	if !slices.Equal(noted, want) {
		t.Errorf("got %q, want %q", noted, want)
	}

	c.Templates = nil
	filled := map[string]bool{} // by the name of the field, whether some value of it has a text that was noted
	walkTemplates(reflect.ValueOf(c), "Config", func(field string, text configs.Template) {
		filled[field] = filled[field] || slices.Contains(noted, text)
	})
	walkTypes(reflect.TypeOf(c), "Config", map[reflect.Type]bool{}, func(field string) {
		if !filled[field] {
			t.Errorf("no text of the file is in %s: add its key", field)
		}
	})
}

// walkTemplates calls found for each Template in v; field is the struct and the field that it is in.
func walkTemplates(v reflect.Value, field string, found func(field string, text configs.Template)) {
	if text, is := reflect.TypeAssert[configs.Template](v); is {
		found(field, text)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			walkTemplates(v.Elem(), field, found)
		}
	case reflect.Slice:
		for i := range v.Len() {
			walkTemplates(v.Index(i), field, found)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				walkTemplates(v.Field(i), v.Type().Name()+"."+f.Name, found)
			}
		}
	default:
	}
}

// walkTypes calls found for each field that is a Template of the structs that can be in a value of type typ.
func walkTypes(typ reflect.Type, field string, seen map[reflect.Type]bool, found func(field string)) {
	if typ == reflect.TypeFor[configs.Template]() {
		found(field)
		return
	}
	switch typ.Kind() {
	case reflect.Pointer, reflect.Slice:
		walkTypes(typ.Elem(), field, seen, found)
	case reflect.Struct:
		if seen[typ] || typ == reflect.TypeFor[configs.WrittenTemplate]() {
			return
		}
		seen[typ] = true
		for f := range typ.Fields() {
			walkTypes(f.Type, typ.Name()+"."+f.Name, seen, found)
		}
	default:
	}
}
