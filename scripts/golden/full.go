package golden

import (
	"reflect"
	"testing"
)

// Full wants every field of a value to be set, in one element at least where
// there are several. So a field that is added needs a golden file that has it.
func Full(t *testing.T, value any) {
	t.Helper()
	v := reflect.ValueOf(value)
	for _, field := range unset(v.Type().String(), v.Type(), []reflect.Value{v}) {
		t.Errorf("%s is in no golden file: set it in a new one, beside those that are there", field)
	}
}

// unset names the fields below a type that are zero in all of its values.
func unset(name string, of reflect.Type, values []reflect.Value) (fields []string) {
	switch of.Kind() {
	case reflect.Pointer, reflect.Slice:
		if of.Elem().Kind() == reflect.Struct {
			return unset(name, of.Elem(), elements(values))
		}
	case reflect.Struct:
		for f := range of.Fields() {
			if f.IsExported() {
				fields = append(fields, unsetField(name, f, values)...)
			}
		}
	default:
	}
	return fields
}

func unsetField(name string, f reflect.StructField, values []reflect.Value) []string {
	name += "." + f.Name
	var set []reflect.Value
	for _, v := range values {
		if v = v.FieldByIndex(f.Index); !v.IsZero() {
			set = append(set, v)
		}
	}
	if len(set) == 0 {
		return []string{name}
	}
	return unset(name, f.Type, set)
}

// elements gives what pointers point at, or what is in slices.
func elements(values []reflect.Value) (all []reflect.Value) {
	for _, v := range values {
		if v.Kind() == reflect.Pointer {
			all = append(all, v.Elem())
			continue
		}
		for i := range v.Len() {
			all = append(all, v.Index(i))
		}
	}
	return all
}
