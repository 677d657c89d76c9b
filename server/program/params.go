package program

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// A FieldError says what is wrong with one field of what somebody sent. Field
// is a JSON Pointer (RFC 6901).
type FieldError struct {
	Field, Message string
}

// A ParamsError says what is wrong with parameters, field by field.
type ParamsError struct {
	Fields []FieldError
}

func (e *ParamsError) Error() string {
	texts := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		texts[i] = strings.TrimSpace(f.Field + " " + f.Message)
	}
	return "the parameters do not fit the program: " + strings.Join(texts, "; ")
}

// CheckParams checks parameters against the program's schema; nothing stands
// for {}. It returns them as compact JSON, or a *ParamsError.
func (p *Program) CheckParams(params []byte) ([]byte, error) {
	if len(bytes.TrimSpace(params)) == 0 || string(bytes.TrimSpace(params)) == "null" {
		params = []byte("{}")
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(params))
	if err != nil {
		return nil, &ParamsError{[]FieldError{{"", "are not JSON: " + err.Error()}}}
	}
	if p.Manifest == nil || len(p.Manifest.Parameters) == 0 {
		if m, ok := value.(map[string]any); !ok || len(m) > 0 {
			return nil, &ParamsError{[]FieldError{{"", "are not taken by this program: use arguments and input"}}}
		}
		return []byte("{}"), nil
	}
	s, err := schema(p.Manifest.Parameters)
	if err != nil {
		return nil, err
	}
	var invalid *jsonschema.ValidationError
	if err := s.Validate(value); errors.As(err, &invalid) {
		return nil, &ParamsError{leaves(invalid, nil)}
	} else if err != nil {
		return nil, err
	}
	var compact bytes.Buffer
	err = json.Compact(&compact, params)
	return compact.Bytes(), err
}

func schema(parameters []byte) (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(parameters))
	if err != nil {
		return nil, fmt.Errorf("the program's schema is not JSON: %w", err)
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(jsonschema.SchemeURLLoader{}) // a schema stands alone: nothing is fetched
	const here = "program:///parameters"
	if err := c.AddResource(here, doc); err != nil {
		return nil, fmt.Errorf("the program's schema: %w", err)
	}
	s, err := c.Compile(here)
	if err != nil {
		return nil, fmt.Errorf("the program's schema: %w", err)
	}
	return s, nil
}

var english = message.NewPrinter(language.English)

// leaves lists the innermost causes: the outer ones only say "not valid".
func leaves(e *jsonschema.ValidationError, to []FieldError) []FieldError {
	if len(e.Causes) == 0 {
		var at strings.Builder
		for _, step := range e.InstanceLocation {
			at.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(step))
		}
		return append(to, FieldError{at.String(), e.ErrorKind.LocalizedString(english)})
	}
	for _, cause := range e.Causes {
		to = leaves(cause, to)
	}
	return to
}
