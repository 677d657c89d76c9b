package program

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A FieldError says what is wrong with one field of what somebody sent. Field
// is a JSON Pointer (RFC 6901).
type FieldError struct {
	Field, Message string
}

// A ParamsError says what is wrong with parameters, field by field.
type ParamsError struct {
	Fields []FieldError // at most maxErrors
}

func (e *ParamsError) Error() string {
	texts := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		texts[i] = strings.TrimSpace(f.Field + " " + f.Message)
	}
	return "the parameters do not fit the program: " + strings.Join(texts, "; ")
}

const (
	maxErrors = 10
	maxNested = 64 // arrays and objects within one another, in parameters
)

// CheckParams checks parameters against the program's schema; nothing stands
// for {}. It returns them as compact JSON in which integers have neither a point
// nor an exponent, or a *ParamsError.
func (p *Program) CheckParams(params []byte) ([]byte, error) {
	if params = bytes.TrimSpace(params); len(params) == 0 || string(params) == "null" {
		params = []byte("{}")
	}
	var whole json.RawMessage
	if err := json.Unmarshal(params, &whole); err != nil {
		return nil, &ParamsError{[]FieldError{{"", "are not JSON: " + err.Error()}}}
	}
	if p.Manifest == nil || len(p.Manifest.Parameters) == 0 {
		var none map[string]json.RawMessage
		if json.Unmarshal(params, &none) != nil || len(none) > 0 {
			return nil, &ParamsError{[]FieldError{{"", "are not taken by this program: use arguments and input"}}}
		}
		return []byte("{}"), nil
	}
	s, err := readSchema(p.Manifest.Parameters)
	if err != nil { // it was published before there was a dialect
		return nil, &ParamsError{[]FieldError{{"", "cannot be checked: " + err.Error() + ". Publish it again with another"}}}
	}
	c := &checker{in: json.NewDecoder(bytes.NewReader(params)), data: params}
	c.in.UseNumber()
	if err := c.value(s); err != nil {
		return nil, &ParamsError{[]FieldError{{"", "are not JSON: " + err.Error()}}}
	}
	if len(c.errors) > 0 {
		return nil, &ParamsError{c.errors}
	}
	return c.out, nil
}

// A checker reads parameters once, from their beginning to their end, checks
// each value against its schema and writes it again.
type checker struct {
	in     *json.Decoder
	data   []byte // what the decoder reads,
	end    int64  // and where the last token ended
	out    []byte
	path   []string
	errors []FieldError
}

// next gives the next token, and how it is written.
func (c *checker) next() (token json.Token, raw []byte, err error) {
	if token, err = c.in.Token(); err != nil {
		return nil, nil, err
	}
	raw = bytes.TrimLeft(c.data[c.end:c.in.InputOffset()], " \t\r\n,:")
	c.end = c.in.InputOffset()
	return token, raw, nil
}

// wrong notes that the value that is being read does not fit.
func (c *checker) wrong(says string, args ...any) {
	if len(c.errors) == maxErrors {
		return
	}
	var at strings.Builder
	for _, step := range c.path {
		at.WriteString("/" + escape(brief(step)))
	}
	c.errors = append(c.errors, FieldError{at.String(), fmt.Sprintf(says, args...)})
}

func (c *checker) value(s *schema) error {
	token, raw, err := c.next()
	if err != nil {
		return err
	}
	if s == nil {
		s = anything
	}
	if s.never {
		c.wrong("is not allowed")
	}
	switch t := token.(type) {
	case json.Delim:
		if len(c.path) >= maxNested {
			return fmt.Errorf("more than %d arrays and objects are within one another", maxNested)
		}
		c.out = append(c.out, raw...)
		c.chosen(s, t)
		if t == '[' {
			return c.array(s)
		}
		return c.object(s)
	case json.Number:
		c.number(s, t.String())
	case string:
		c.text(s, t, raw)
	case bool:
		c.scalar(s, "boolean", t, raw)
	default:
		c.scalar(s, "null", nil, raw)
	}
	return nil
}

// anything is the schema of values that have none.
var anything = &schema{length: noSpan, items: noSpan}

// fits says whether a schema takes a type; if not, that is wrong with the value.
func (c *checker) fits(s *schema, kind string) bool {
	if s.types == nil || slices.Contains(s.types, kind) || kind == "integer" && slices.Contains(s.types, "number") {
		return true
	}
	c.wrong("must be %s, not %s", called(strings.Join(s.types, " or ")), called(kind))
	return false
}

// called is a type with its article.
func called(kind string) string {
	switch {
	case kind == "null":
		return kind
	case strings.ContainsRune("aio", rune(kind[0])):
		return "an " + kind
	}
	return "a " + kind
}

// scalar checks a value that has no others in it.
func (c *checker) scalar(s *schema, kind string, value any, raw []byte) {
	c.out = append(c.out, raw...)
	if c.fits(s, kind) {
		c.chosen(s, value)
	}
}

// chosen checks that a value is one of those to choose from.
func (c *checker) chosen(s *schema, value any) {
	if s.values == nil {
		return
	}
	if key, err := scalarKey(value); err != nil || !s.values[key] {
		c.wrong("must be one of %s", s.choices)
	}
}

func (c *checker) text(s *schema, text string, raw []byte) {
	was := len(c.errors)
	if c.scalar(s, "string", text, raw); len(c.errors) > was {
		return
	}
	if s.length != noSpan {
		c.counts(s.length, utf8.RuneCountInString(text), "character")
	}
	if s.pattern != nil && !s.pattern.MatchString(text) {
		c.wrong("must match the pattern %s", s.pattern)
	}
}

func (c *checker) counts(s span, n int, what string) {
	switch {
	case n < s.low:
		c.wrong("must have at least %s, and has %d", counted(s.low, what), n)
	case s.high >= 0 && n > s.high:
		c.wrong("must have at most %s, and has %d", counted(s.high, what), n)
	}
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

// number checks a number. One that is whole is an integer, however it is
// written, and is written as programs read those where one is asked for.
func (c *checker) number(s *schema, literal string) {
	d, err := parseDecimal(literal)
	if err != nil {
		c.wrong("%v", err)
		return
	}
	kind, integer := "number", slices.Contains(s.types, "integer") && !slices.Contains(s.types, "number")
	text, whole := d.whole()
	if whole {
		kind = "integer"
	}
	if !whole && integer {
		c.wrong("must be a whole number")
		return
	}
	if !integer {
		text = literal
	}
	c.out = append(c.out, text...)
	if !c.fits(s, kind) {
		return
	}
	c.chosen(s, json.Number(literal))
	for _, b := range s.bounds {
		if order := d.compare(b.limit); order == b.order || b.open && order == 0 {
			c.wrong("%s", b.says)
		}
	}
}

func (c *checker) array(s *schema) error {
	if !c.fits(s, "array") {
		s = anything
	}
	n := 0
	for ; c.in.More(); n++ {
		if n > 0 {
			c.out = append(c.out, ',')
		}
		if err := c.within(strconv.Itoa(n), s.item); err != nil {
			return err
		}
	}
	c.counts(s.items, n, "item")
	return c.close(']')
}

// within checks the value of a name or a number in the one being read.
func (c *checker) within(step string, s *schema) error {
	c.path = append(c.path, step)
	defer func() { c.path = c.path[:len(c.path)-1] }()
	return c.value(s)
}

func (c *checker) close(with byte) error {
	c.out = append(c.out, with)
	_, _, err := c.next()
	return err
}

func (c *checker) object(s *schema) error {
	if !c.fits(s, "object") {
		s = anything
	}
	seen, needed := map[string]bool{}, 0
	for c.in.More() {
		token, raw, err := c.next()
		if err != nil {
			return err
		}
		if len(seen) > 0 {
			c.out = append(c.out, ',')
		}
		c.out = append(append(c.out, raw...), ':')
		if err := c.field(s, token.(string), seen); err != nil { // a name is a string
			return err
		}
	}
	for name := range seen {
		if s.required[name] {
			needed++
		}
	}
	if needed < len(s.required) {
		c.missing(s, seen)
	}
	return c.close('}')
}

func (c *checker) field(s *schema, name string, seen map[string]bool) error {
	c.path = append(c.path, name)
	if seen[name] {
		c.wrong("is given twice")
	}
	seen[name] = true
	field, known := s.fields[name]
	if !known {
		if field = s.others; field != nil && field.never {
			c.wrong("is not known: there is %s", s.known())
			field = nil
		}
	}
	c.path = c.path[:len(c.path)-1]
	return c.within(name, field)
}

// known are the names of the fields that there may be.
func (s *schema) known() string {
	if s.names == "" {
		return "nothing to set"
	}
	return s.names
}

// missing notes what must be there and is not.
func (c *checker) missing(s *schema, seen map[string]bool) {
	for _, name := range sortedMissing(s.required, seen) {
		c.path = append(c.path, name)
		c.wrong("is missing")
		c.path = c.path[:len(c.path)-1]
	}
}

func sortedMissing(required, seen map[string]bool) (names []string) {
	for name := range required {
		if !seen[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
