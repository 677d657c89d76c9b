package program

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"potluck/contract"
)

func takes(schema string) *Program {
	return &Program{Manifest: &contract.Manifest{Parameters: json.RawMessage(schema)}}
}

// What parameters may be: each word of the dialect, with what fits, what it
// becomes and what does not fit.
func TestParams(t *testing.T) {
	of := func(schema string) string {
		return `{"type":"object","additionalProperties":false,"properties":{"v":` + schema + `}}`
	}
	for schema, all := range map[string]map[string]string{
		`{"type":"integer"}`: {
			`1`: "", ` 1000000.0 `: "1000000", `1e6`: "1000000", `-0.0`: "0", `12.50e1`: "125", `123456789012345678901234567890`: "", `-7`: "",
			`1.5`: "/v must be a whole number", `"1"`: "/v must be an integer, not a string", `null`: "/v must be an integer, not null", `1e999999`: "/v is a number with an exponent of more than 400",
		},
		`{"type":"number","minimum":-1,"exclusiveMaximum":2.5}`: {
			`1.0`: "1.0", `-1.0`: "-1.0", `2.4999999999999999999999`: "", `-1.0000000000000000001`: "/v must be at least -1", `2.50`: "/v must be less than 2.5", `true`: "/v must be a number, not a boolean",
		},
		`{"type":"integer","maximum":9007199254740993}`: {`9007199254740993`: "", `9007199254740994`: "/v must be at most 9007199254740993"},
		`{"exclusiveMinimum":0}`:                        {`0.0`: "/v must be more than 0", `1e-300`: "", `"a"`: "", `[]`: ""},
		`{"type":"string","minLength":2,"maxLength":3,"pattern":"^[a-zäöü]+$"}`: {
			`"äöü"`: "", `"\u00e4b"`: "", `"a"`: "/v must have at least 2 characters, and has 1", `"abcd"`: "/v must have at most 3 characters, and has 4", `"AB"`: "/v must match the pattern ^[a-zäöü]+$", `7`: "/v must be a string, not an integer",
		},
		`{"type":"array","minItems":1,"maxItems":2,"items":{"type":"integer"}}`: {
			`[ 1.0, 2 ]`: "[1,2]", `[]`: "/v must have at least 1 item, and has 0", `[1,2,3]`: "/v must have at most 2 items, and has 3", `[1,"two"]`: "/v/1 must be an integer, not a string", `{}`: "/v must be an array, not an object",
		},
		`{"type":["string","null"]}`: {`null`: "", `"a"`: "", `false`: "/v must be a string or null, not a boolean"},
		`{"enum":["a",1,null]}`:      {`"a"`: "", `1.0`: "", `null`: "", `"b"`: `/v must be one of "a", 1, null`, `[1]`: `/v must be one of "a", 1, null`},
		`{"const":true}`:             {`true`: "", `false`: "/v must be one of true"},
		`{"type":"object","properties":{"x~/":{"type":"integer"}},"required":["x~/","y"]}`: {
			`{"y":1.50,"x~/":2.0,"z":[{"deep":1.0}]}`: `{"y":1.50,"x~/":2,"z":[{"deep":1.0}]}`, `{"x~/":"a"}`: "/v/x~0~1 must be an integer, not a string; /v/y is missing", `{"y":1,"y":2,"x~/":1}`: "/v/y is given twice",
		},
		`{"type":"object","additionalProperties":{"type":"integer"}}`: {`{"a":1.0,"b":2}`: `{"a":1,"b":2}`, `{"a":"b"}`: "/v/a must be an integer, not a string"},
		`true`:  {`{"a":[1.0]}`: "", `1e999999`: "/v is a number with an exponent of more than 400"},
		`false`: {`1`: "/v is not allowed"},
	} {
		for value, want := range all {
			got, err := takes(of(schema)).CheckParams([]byte(`{"v":` + value + `}`))
			var invalid *ParamsError
			switch {
			case strings.HasPrefix(want, "/"):
				if !errors.As(err, &invalid) || !strings.HasSuffix(err.Error(), ": "+want) {
					t.Errorf("%s for %s: %s, %v", value, schema, got, err)
				}
			case err != nil:
				t.Errorf("%s for %s: %v", value, schema, err)
			default:
				if want == "" {
					want = value
				}
				if string(got) != `{"v":`+want+`}` {
					t.Errorf("%s for %s became %s", value, schema, got)
				}
			}
		}
	}
	for params, says := range map[string]string{
		`{"w":1}`: "/w is not known: there is v", `[1]`: "must be an object, not an array", `7`: "must be an object", `{`: "not JSON", `{"v":1}{"v":2}`: "not JSON",
		`{"` + strings.Repeat("x", 1000) + `":1}`:                         "/" + strings.Repeat("x", 100) + "… is not known",
		`{"v":` + strings.Repeat("[", 70) + strings.Repeat("]", 70) + `}`: "more than 64",
	} {
		if got, err := takes(of("true")).CheckParams([]byte(params)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.80s: %s, %v", params, got, err)
		}
	}
}

// A program that was published with a schema of another kind says so.
func TestSchemasFromBeforeTheDialect(t *testing.T) {
	var invalid *ParamsError
	if _, err := takes(`{"allOf":[]}`).CheckParams([]byte(`{}`)); !errors.As(err, &invalid) || !strings.Contains(err.Error(), `"/allOf" is not in the dialect`) || !strings.Contains(err.Error(), "Publish it again") {
		t.Errorf("%v", err)
	}
}

// However much is wrong, ten mistakes are told.
func TestTenMistakesAreTold(t *testing.T) {
	p := takes(`{"properties":{"v":{"items":{"type":"integer","minimum":5,"enum":[7]}}},"required":["a","b"]}`)
	_, err := p.CheckParams([]byte(`{"v":[` + strings.Repeat("1,", 20_000) + `1]}`))
	var invalid *ParamsError
	if !errors.As(err, &invalid) || len(invalid.Fields) != 10 || len(err.Error()) > 2000 {
		t.Errorf("%v", err)
	}
}

// A schema may refer to its own definitions, which may refer to themselves.
func TestDefinitions(t *testing.T) {
	p := takes(`{"type":"object","properties":{"root":{"$ref":"#/$defs/again","title":"Tree"}},
		"$defs":{"again":{"$ref":"#/$defs/tree"},"tree":{"type":"object","properties":{"n":{"type":"integer"},"kids":{"type":"array","items":{"$ref":"#/$defs/tree"}}},"required":["n"]}}}`)
	got, err := p.CheckParams([]byte(`{"root":{"n":1.0,"kids":[{"n":2,"kids":[{"n":3e0}]}]}}`))
	if err != nil || string(got) != `{"root":{"n":1,"kids":[{"n":2,"kids":[{"n":3}]}]}}` {
		t.Errorf("%s, %v", got, err)
	}
	if _, err = p.CheckParams([]byte(`{"root":{"n":1,"kids":[{"n":"x"},{}]}}`)); err == nil ||
		!strings.Contains(err.Error(), "/root/kids/0/n must be an integer, not a string; /root/kids/1/n is missing") {
		t.Errorf("%v", err)
	}
}

// What is not in the dialect, or would cost too much to check, is refused with
// the place and what to do.
func TestSchemasOutsideTheDialect(t *testing.T) {
	var doubling strings.Builder
	doubling.WriteString(`{"$defs":{"d0":{"type":"object"}`)
	for i := 1; i <= 20; i++ {
		fmt.Fprintf(&doubling, `,"d%d":{"allOf":[{"$ref":"#/$defs/d%d"},{"$ref":"#/$defs/d%d"}]}`, i, i-1, i-1)
	}
	doubling.WriteString(`},"properties":{"v":{"$ref":"#/$defs/d20"}}}`)
	for schema, says := range map[string]string{
		doubling.String():                   `"/$defs/d20/allOf" is not in the dialect`,
		`{"properties":{"a":{"anyOf":[]}}}`: `"/properties/a/anyOf" is not in the dialect`,
		`{"not":{}}`:                        "not in the dialect", `{"if":{}}`: "not in the dialect", `{"patternProperties":{}}`: "not in the dialect", `{"uniqueItems":true}`: "not in the dialect", `{"$id":"http://a"}`: "not in the dialect", `{"$dynamicRef":"#a"}`: "not in the dialect",
		`{"properties":{"a":{"$ref":"https://example.com/s"}}}`:                                                 "a schema stands alone",
		`{"properties":{"a":{"$ref":"file:///etc/passwd"}}}`:                                                    "a schema stands alone",
		`{"properties":{"a":{"$ref":"#"}}}`:                                                                     "like #/$defs/point",
		`{"properties":{"a":{"$ref":"#/$defs/none"}}}`:                                                          "like #/$defs/point",
		`{"properties":{"a":{"$ref":7}}}`:                                                                       "like #/$defs/point",
		`{"properties":{"a":{"$ref":"#/$defs/b","minimum":1}},"$defs":{"b":true}}`:                              `has "minimum" beside $ref`,
		`{"properties":{"a":{"$ref":"#/$defs/a"}},"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}}`: "nothing but a reference to itself",
		`{"$defs":{"b":{"type":"none"}}}`:                                                                       `"/$defs/b/type"`,
		`{"$defs":[]}`:                                                                                          "/$defs",
		`{"properties":{"a":` + strings.Repeat(`{"items":`, 20) + `{}` + strings.Repeat(`}`, 20) + `}}`:         "nested in more than 16",
		`{"properties":{"a":{"pattern":"(?=a)b"}}}`:                                                             "not a regular expression of RE2",
		`{"properties":{"a":{"pattern":"(a)\\1"}}}`:                                                             "not a regular expression of RE2",
		`{"properties":{"a":{"pattern":"([a-z]{30}){30}"}}}`:                                                    "repeats too much",
		`{"properties":{"a":{"pattern":"` + strings.Repeat("a", 201) + `"}}}`:                                   "at most 200 characters",
		`{"properties":{"a":{"minimum":1e999999}}}`:                                                             "exponent of more than 400",
		`{"properties":{"a":{"default":[1e999999]}}}`:                                                           "exponent of more than 400",
		`{"properties":{"a":{"enum":[1e-999999]}}}`:                                                             "exponent of more than 400",
		`{"properties":{"a":{"maxItems":-1}}}`:                                                                  "count from 0", `{"properties":{"a":{"minItems":1.5}}}`: "count from 0", `{"properties":{"a":{"maxLength":"9"}}}`: "count from 0",
		`{"properties":{"a":{"enum":[]}}}`: "no list of values", `{"properties":{"a":{"enum":[[1]]}}}`: "only texts, numbers",
		`{"properties":{"a":{"type":"float"}}}`: "is none of object", `{"properties":{"a":{"type":[]}}}`: "names no type", `{"properties":{"a":7}}`: "is no schema",
		`{"type":"array"}`: "must be object", `true`: "not one of an object", `7`: "not one of an object", `{`: "not JSON",
		`{"properties":{"a":{"title":"abc\u202edef"}}}`:         "characters that people do not see",
		`{"properties":{"a\u202e":{}}}`:                         "characters that people do not see",
		`{"description":"` + strings.Repeat("x", 33<<10) + `"}`: "more than 32768 bytes",
		`{"properties":{` + strings.TrimSuffix(repeat(101, `"p%d":{"$ref":"#/$defs/a"},`), ",") + `},"$defs":{"a":{}}}`: "100 references",
	} {
		if s, err := readSchema([]byte(schema)); err == nil || !strings.Contains(err.Error(), says) || !strings.HasPrefix(err.Error(), "the program's schema") {
			t.Errorf("%.200s: %+v, %v", schema, s, err)
		}
	}
}

func repeat(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}
