package program

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"potluck/contract"
)

// Bounds of a schema. What is within them is checked in one pass over the
// parameters.
const (
	maxSchema      = 32 << 10 // bytes
	maxSchemaDepth = 16       // schemas within one another
	maxReferences  = 100
	maxPattern     = 200 // characters
	maxPatternSize = 256 // instructions that it compiles to: a character of a text costs so much
)

// A schema says what a value must be, in the dialect of JSON Schema that
// docs/programs.md describes: each value is subject to one schema, so that
// checking costs what reading costs. A nil schema takes everything.
type schema struct {
	never    bool     // nothing fits
	types    []string // nil: any
	values   map[string]bool
	choices  string // the values, for people
	bounds   []bound
	length   span // characters of a text
	items    span // of an array
	pattern  *regexp.Regexp
	item     *schema
	fields   map[string]*schema
	others   *schema // for what is not among the fields
	names    string  // of the fields, for people
	required map[string]bool
}

// A bound is what a number must not go past.
type bound struct {
	limit decimal
	order int  // that a number must not have to the limit: -1 or 1
	open  bool // nor may it be the limit itself
	says  string
}

// A span is how many there may be; without a limit high is -1.
type span struct{ low, high int }

var noSpan = span{0, -1}

// A schemaReader makes a schema of what was decoded.
type schemaReader struct {
	definitions map[string]any
	made        map[string]*schema // of the definitions
	references  int
}

// readSchema reads the schema of a program, or says what of it is not in the
// dialect.
func readSchema(data []byte) (*schema, error) {
	if len(data) > maxSchema {
		return nil, fmt.Errorf("the program's schema has more than %d bytes", maxSchema)
	}
	var doc any
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&doc); err != nil {
		return nil, fmt.Errorf("the program's schema is not JSON: %w", err)
	}
	root, ok := doc.(map[string]any)
	if !ok {
		return nil, errors.New("the program's schema is not one of an object")
	}
	r := &schemaReader{made: map[string]*schema{}}
	if given, ok := root["$defs"]; ok {
		if r.definitions, ok = given.(map[string]any); !ok {
			return nil, errSchema("/$defs", "is no object of schemas")
		}
	}
	s, err := r.read(root, "", 1)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(r.definitions)) {
		if _, err := r.definition(name); err != nil {
			return nil, err
		}
	}
	if s.types != nil && !slices.Equal(s.types, []string{"object"}) {
		return nil, errSchema("/type", "must be object: parameters are named")
	}
	s.types = []string{"object"}
	return s, nil
}

func errSchema(at, says string, args ...any) error {
	return fmt.Errorf("the program's schema at %q %s", at, fmt.Sprintf(says, args...))
}

func (r *schemaReader) read(given any, at string, depth int) (*schema, error) {
	if depth > maxSchemaDepth {
		return nil, errSchema(at, "is nested in more than %d schemas", maxSchemaDepth)
	}
	words, ok := given.(map[string]any)
	if yes, isBool := given.(bool); isBool {
		return &schema{never: !yes, length: noSpan, items: noSpan}, nil
	} else if !ok {
		return nil, errSchema(at, "is no schema: an object, true or false")
	}
	if _, refers := words["$ref"]; refers {
		return r.follow(words, at)
	}
	s := &schema{length: noSpan, items: noSpan}
	return s, r.fill(s, words, at, depth)
}

// fill reads the words of a schema, in an order that is always the same.
func (r *schemaReader) fill(s *schema, words map[string]any, at string, depth int) error {
	for _, word := range slices.Sorted(maps.Keys(words)) {
		if word == "$defs" && at == "" {
			continue
		}
		here, value := at+"/"+escape(word), words[word]
		if annotations[word] {
			if err := checkAnnotation(value, here); err != nil {
				return err
			}
			continue
		}
		read := dialect[word]
		if read == nil {
			return errSchema(here, "is not in the dialect of JSON Schema that grids check and show: docs/programs.md has it")
		}
		if err := read(r, s, value, here, depth); err != nil {
			return err
		}
	}
	return nil
}

// follow gives the definition that a schema refers to. References to references
// end at what is no reference, so that each value has one schema.
func (r *schemaReader) follow(words map[string]any, at string) (*schema, error) {
	for word, value := range words {
		if word != "$ref" && !annotations[word] {
			return nil, errSchema(at, "has %q beside $ref: put it into the definition", word)
		}
		if err := checkAnnotation(value, at); err != nil {
			return nil, err
		}
	}
	if r.references++; r.references > maxReferences {
		return nil, errSchema(at, "is more than the %d references that a schema may have", maxReferences)
	}
	to, _ := words["$ref"].(string)
	name, ok := strings.CutPrefix(to, "#/$defs/")
	name = strings.NewReplacer("~1", "/", "~0", "~").Replace(name)
	if _, known := r.definitions[name]; !ok || !known {
		return nil, errSchema(at+"/$ref", "is not the name of a definition in this schema, like #/$defs/point: a schema stands alone")
	}
	return r.definition(name)
}

// definition gives one, which may be in the making: definitions may refer to
// themselves, as long as each turn takes a value.
func (r *schemaReader) definition(name string) (*schema, error) {
	if s, made := r.made[name]; made {
		if s == nil {
			return nil, errSchema("/$defs/"+escape(name), "is nothing but a reference to itself")
		}
		return s, nil
	}
	at := "/$defs/" + escape(name)
	words, ok := r.definitions[name].(map[string]any)
	if _, refers := words["$ref"]; !ok || refers {
		r.made[name] = nil
		s, err := r.read(r.definitions[name], at, 1)
		r.made[name] = s
		return s, err
	}
	s := &schema{length: noSpan, items: noSpan}
	r.made[name] = s
	return s, r.fill(s, words, at, 1)
}

// annotations are words that say something to people and check nothing.
var annotations = map[string]bool{
	"$schema": true, "$comment": true, "title": true, "description": true, "default": true, "examples": true, "format": true, "deprecated": true,
}

// checkAnnotation checks what people will see, however it is nested.
func checkAnnotation(value any, at string) error {
	switch v := value.(type) {
	case string:
		if !contract.Plain(strings.NewReplacer("\n", " ", "\t", " ").Replace(v)) {
			return errSchema(at, "has characters that people do not see")
		}
	case json.Number:
		if _, err := parseDecimal(v.String()); err != nil {
			return errSchema(at, "%v", err)
		}
	case []any:
		for _, item := range v {
			if err := checkAnnotation(item, at); err != nil {
				return err
			}
		}
	case map[string]any:
		for name, item := range v {
			if err := errors.Join(checkAnnotation(name, at), checkAnnotation(item, at)); err != nil {
				return err
			}
		}
	}
	return nil
}

// dialect has the words that check something.
var dialect map[string]func(r *schemaReader, s *schema, value any, at string, depth int) error

func init() { //nolint:gochecknoinits // the words read schemas in schemas
	dialect = map[string]func(r *schemaReader, s *schema, value any, at string, depth int) error{
		"type": readTypes,
		"enum": readEnum,
		"const": func(r *schemaReader, s *schema, v any, at string, d int) error {
			return readEnum(r, s, []any{v}, at, d)
		},
		"minimum":              readBound(-1, false, "must be at least %s"),
		"maximum":              readBound(1, false, "must be at most %s"),
		"exclusiveMinimum":     readBound(-1, true, "must be more than %s"),
		"exclusiveMaximum":     readBound(1, true, "must be less than %s"),
		"minLength":            readCount(func(s *schema) *int { return &s.length.low }),
		"maxLength":            readCount(func(s *schema) *int { return &s.length.high }),
		"minItems":             readCount(func(s *schema) *int { return &s.items.low }),
		"maxItems":             readCount(func(s *schema) *int { return &s.items.high }),
		"pattern":              readPattern,
		"items":                readOne(func(s *schema) **schema { return &s.item }),
		"additionalProperties": readOne(func(s *schema) **schema { return &s.others }),
		"properties":           readFields,
		"required":             readRequired,
	}
}

var typeNames = []string{"object", "array", "string", "integer", "number", "boolean", "null"}

func readTypes(_ *schemaReader, s *schema, value any, at string, _ int) error {
	all, ok := value.([]any)
	if !ok {
		all = []any{value}
	}
	for _, v := range all {
		name, _ := v.(string)
		if !slices.Contains(typeNames, name) || slices.Contains(s.types, name) {
			return errSchema(at, "is none of %s, or a list of them", strings.Join(typeNames, ", "))
		}
		s.types = append(s.types, name)
	}
	if len(s.types) == 0 {
		return errSchema(at, "names no type")
	}
	return nil
}

func readEnum(_ *schemaReader, s *schema, value any, at string, _ int) error {
	all, ok := value.([]any)
	if !ok || len(all) == 0 {
		return errSchema(at, "is no list of values")
	}
	if s.values != nil {
		return errSchema(at, "and enum are both there: take one")
	}
	s.values = map[string]bool{}
	var shown []string
	for _, v := range all {
		key, err := scalarKey(v)
		if err == nil {
			err = checkAnnotation(v, at)
		}
		if err != nil {
			return errSchema(at, "%v", err)
		}
		s.values[key] = true
		text, _ := json.Marshal(v) // it was JSON
		shown = append(shown, string(text))
	}
	s.choices = list(shown)
	return nil
}

// scalarKey is the same for equal values that have no others in them.
func scalarKey(value any) (string, error) {
	switch v := value.(type) {
	case string:
		return "text " + v, nil
	case json.Number:
		d, err := parseDecimal(v.String())
		return "number " + d.key(), err
	case bool, nil:
		return fmt.Sprint(v), nil
	}
	return "", errors.New("has a list or an object: only texts, numbers, true, false and null can be chosen from")
}

func readBound(order int, open bool, says string) func(*schemaReader, *schema, any, string, int) error {
	return func(_ *schemaReader, s *schema, value any, at string, _ int) error {
		number, ok := value.(json.Number)
		if !ok {
			return errSchema(at, "is no number")
		}
		limit, err := parseDecimal(number.String())
		if err != nil {
			return errSchema(at, "%v", err)
		}
		s.bounds = append(s.bounds, bound{limit, order, open, fmt.Sprintf(says, number)})
		return nil
	}
}

// maxCount is more than any parameters can have of anything.
const maxCount = 1 << 30

func readCount(of func(*schema) *int) func(*schemaReader, *schema, any, string, int) error {
	return func(_ *schemaReader, s *schema, value any, at string, _ int) error {
		number, _ := value.(json.Number)
		var n int64
		d, err := parseDecimal(number.String())
		text, whole := d.whole()
		if err == nil && whole && number != "" {
			n, err = json.Number(text).Int64()
		}
		if err != nil || !whole || number == "" || n < 0 || n > maxCount {
			return errSchema(at, "is no count from 0 to %d", maxCount)
		}
		*of(s) = int(n)
		return nil
	}
}

func readPattern(_ *schemaReader, s *schema, value any, at string, _ int) error {
	text, ok := value.(string)
	if !ok || len(text) > maxPattern {
		return errSchema(at, "is no pattern of at most %d characters", maxPattern)
	}
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return errSchema(at, "is not a regular expression of RE2: %v", err)
	}
	if compiled, err := syntax.Compile(parsed.Simplify()); err != nil || len(compiled.Inst) > maxPatternSize {
		return errSchema(at, "repeats too much to be checked in time: take fewer or smaller counts")
	}
	s.pattern, err = regexp.Compile(text)
	return err
}

func readOne(of func(*schema) **schema) func(*schemaReader, *schema, any, string, int) error {
	return func(r *schemaReader, s *schema, value any, at string, depth int) (err error) {
		*of(s), err = r.read(value, at, depth+1)
		return err
	}
}

func readFields(r *schemaReader, s *schema, value any, at string, depth int) error {
	all, ok := value.(map[string]any)
	if !ok {
		return errSchema(at, "is no object of schemas")
	}
	s.fields = map[string]*schema{}
	names := slices.Sorted(maps.Keys(all))
	for _, name := range names {
		field, err := r.read(all[name], at+"/"+escape(name), depth+1)
		if err == nil {
			err = checkAnnotation(name, at)
		}
		if err != nil {
			return err
		}
		s.fields[name] = field
	}
	s.names = list(names)
	return nil
}

func readRequired(_ *schemaReader, s *schema, value any, at string, _ int) error {
	all, ok := value.([]any)
	if !ok {
		return errSchema(at, "is no list of names")
	}
	s.required = map[string]bool{}
	for _, v := range all {
		name, ok := v.(string)
		if !ok {
			return errSchema(at, "is no list of names")
		}
		s.required[name] = true
	}
	return nil
}

// maxListed is how many of a list people are told.
const maxListed = 10

func list(all []string) string {
	short := make([]string, 0, maxListed+1)
	for _, item := range all[:min(len(all), maxListed)] {
		short = append(short, brief(item))
	}
	if len(all) > maxListed {
		short = append(short, "…")
	}
	return strings.Join(short, ", ")
}

// maxBrief is how much of a name or a value people are told, in bytes.
const maxBrief = 100

func brief(text string) string {
	if len(text) <= maxBrief {
		return text
	}
	return strings.ToValidUTF8(text[:maxBrief], "") + "…"
}

// escape writes a step of a JSON Pointer (RFC 6901).
func escape(step string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(step) }
