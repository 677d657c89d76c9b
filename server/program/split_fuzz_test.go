package program

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"potluck/contract"
)

var errPlenty = errors.New("that is plenty")

// What the splitters of lines and bytes cut is the whole of the data, in pieces
// that have something in them.
func FuzzSplit(f *testing.F) {
	for _, s := range []string{"lines", "lines:2", "bytes:3", "json", "range:1:5", "range:5:-5:-2", "range:-9223372036854775808:9223372036854775807:9223372036854775807", "bytes:0", "lines:99999999999999999999"} {
		f.Add(s, []byte("one\ntwo\n\nthree"))
		f.Add(s, []byte(`[1,{"a":[2]},"three",null]`))
	}
	f.Add("json", bytes.Repeat([]byte("["), 20_000))
	f.Add("lines", []byte{})
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		s, err := ParseSplitter(name)
		if err != nil {
			return
		}
		var whole []byte
		n := 0
		err = s.Split(bytes.NewReader(data), func(input []byte) error {
			if n++; n > 10_000 {
				return errPlenty
			}
			if s.kind == "json" && !json.Valid(input) || len(input) == 0 {
				t.Errorf("%s gave %q", name, input)
			}
			whole = append(whole, input...)
			return nil
		})
		if err == nil && (s.kind == "lines" || s.kind == "bytes") && !bytes.Equal(whole, data) {
			t.Errorf("%s made %q of %q", name, whole, data)
		}
	})
}

// Parameters that are taken are compact JSON, and are taken again.
func FuzzParams(f *testing.F) {
	for _, schema := range []string{
		`{"type":"object","properties":{"n":{"type":"integer","minimum":1}},"additionalProperties":false}`,
		`{"$ref":"file:///etc/passwd"}`, `{"$ref":"#"}`, `{"properties":{"s":{"pattern":"(a+)+$"}}}`,
		`{"properties":{"n":{"$ref":"#/$defs/n"}},"$defs":{"n":{"type":["integer","null"],"enum":[1,null]}}}`, `true`, `7`, `{`,
	} {
		for _, params := range []string{`{"n":1}`, `{"n":0}`, `{"n":1e999}`, `{"a/b~c":1}`, `null`, ``, `[[[[`, `{"n":1}{"n":2}`} {
			f.Add([]byte(schema), []byte(params))
		}
	}
	f.Fuzz(func(t *testing.T, schema, params []byte) {
		p := &Program{Manifest: &contract.Manifest{Parameters: schema}}
		taken, err := p.CheckParams(params)
		if err != nil {
			return
		}
		if again, err := p.CheckParams(taken); err != nil || !bytes.Equal(again, taken) {
			t.Errorf("%s became %s, and %s, %v", params, taken, again, err)
		}
	})
}
