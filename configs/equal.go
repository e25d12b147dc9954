package configs

import "reflect"

// Equal reports whether two values of a configuration, such as upstreams, mean the same; where they are written does not
// matter, so that a line that was added above changes nothing.
func Equal[T any](a, b T) bool { return equal(reflect.ValueOf(a), reflect.ValueOf(b)) }

func equal(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.Pointer:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() == b.IsNil()
		}
		return equal(a.Elem(), b.Elem())
	case reflect.Slice:
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !equal(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	case reflect.Struct:
		for i := range a.NumField() {
			field := a.Type().Field(i)
			if field.IsExported() && field.Type != reflect.TypeFor[Places]() && !equal(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	default: // a number, a text or a flag
		return a.Interface() == b.Interface()
	}
}
