package mapreduce

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// property is the subset of JSON Schema (draft 2020-12) that parameters need.
type property struct {
	Title       string     `json:"title,omitempty"`
	Description string     `json:"description,omitempty"`
	Type        string     `json:"type"`
	Default     any        `json:"default,omitempty"`
	Examples    []any      `json:"examples,omitempty"`
	Minimum     *float64   `json:"minimum,omitempty"`
	Maximum     *float64   `json:"maximum,omitempty"`
	MinItems    *int       `json:"minItems,omitempty"`
	MaxItems    *int       `json:"maxItems,omitempty"`
	Items       *property  `json:"items,omitempty"`
	Properties  properties `json:"properties,omitempty"`
	Additional  *bool      `json:"additionalProperties,omitempty"`
}

// properties keep the order of the fields: forms are made from them.
type properties []namedProperty

type namedProperty struct {
	name string
	property
}

func (ps properties) MarshalJSON() ([]byte, error) {
	out := []byte{'{'}
	for i, p := range ps {
		if i > 0 {
			out = append(out, ',')
		}
		body, err := json.Marshal(p.property)
		if err != nil {
			return nil, err
		}
		out = append(append(append(out, strconv.Quote(p.name)...), ':'), body...)
	}
	return append(out, '}'), nil
}

// Schema writes the JSON Schema of a parameter struct: its fields by their
// json tags, their values as defaults, and from further tags title, doc (a
// description), min, max (of numbers, or of the items of a list), minlen and
// maxlen (of lists). Fields are integers, floats, booleans, strings and lists.
func Schema[Params any](defaults Params, examples ...Params) (json.RawMessage, error) {
	v := reflect.ValueOf(defaults)
	no := false
	p := property{Type: "object", Additional: &no}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		field, err := describeField(f, v.Field(i))
		if err != nil {
			return nil, fmt.Errorf("parameter %s: %w", f.Name, err)
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		p.Properties = append(p.Properties, namedProperty{name, field})
	}
	for _, e := range examples {
		p.Examples = append(p.Examples, e)
	}
	return json.Marshal(p)
}

func describeField(f reflect.StructField, value reflect.Value) (property, error) {
	kind, err := jsonType(f.Type)
	if err != nil {
		return property{}, err
	}
	p := property{Title: f.Tag.Get("title"), Description: f.Tag.Get("doc"), Type: kind, Default: value.Interface()}
	bounded := &p
	if kind == "array" {
		item, err := jsonType(f.Type.Elem())
		if err != nil {
			return p, err
		}
		p.Items = &property{Type: item}
		bounded = p.Items
		p.MinItems, p.MaxItems = lengths(f)
	}
	bounded.Minimum, bounded.Maximum = bound(f, "min"), bound(f, "max")
	return p, nil
}

func lengths(f reflect.StructField) (low, high *int) {
	if f.Type.Kind() == reflect.Array {
		n := f.Type.Len()
		return &n, &n
	}
	read := func(tag string) *int {
		if n, err := strconv.Atoi(f.Tag.Get(tag)); err == nil {
			return &n
		}
		return nil
	}
	return read("minlen"), read("maxlen")
}

func bound(f reflect.StructField, tag string) *float64 {
	if v, err := strconv.ParseFloat(f.Tag.Get(tag), 64); err == nil {
		return &v
	}
	return nil
}

func jsonType(t reflect.Type) (string, error) {
	if t == reflect.TypeFor[json.Number]() {
		return "number", nil
	}
	switch t.Kind() {
	case reflect.Int, reflect.Int64, reflect.Int32, reflect.Uint64, reflect.Uint32:
		return "integer", nil
	case reflect.Float64:
		return "number", nil
	case reflect.Bool:
		return "boolean", nil
	case reflect.String:
		return "string", nil
	case reflect.Slice, reflect.Array:
		return "array", nil
	default:
		return "", fmt.Errorf("a %s cannot be a parameter", t)
	}
}
