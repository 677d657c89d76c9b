package mapreduce

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"potluck/contract"
)

type testParams struct {
	Words []string   `json:"words" title:"Words" doc:"What to shout." minlen:"1" maxlen:"9"`
	Times int        `json:"times" min:"1" max:"3"`
	Speed float64    `json:"speed"`
	Point [2]float64 `json:"point" min:"-4" max:"4"`
	Loud  bool       `json:"loud"`
}

// shout is a program with every stage.
var shout = Program[testParams, string, []byte]{
	Name: "shout", Title: "Shout", Summary: "Shouts.", Result: "text/plain",
	Defaults: testParams{Words: []string{"hey"}, Times: 1, Speed: 0.5},
	Examples: []testParams{{Words: []string{"a", "b"}, Times: 2}},
	Check: func(p testParams) error {
		if p.Times > 3 {
			return errors.New("that is too often")
		}
		return nil
	},
	Split:  func(p testParams) ([]string, error) { return slices.Repeat(p.Words, p.Times), nil },
	Map:    func(in string) ([]byte, error) { return []byte(strings.ToUpper(in)), nil },
	Reduce: func(a, b []byte) ([]byte, error) { return slices.Concat(a, b), nil },
	Render: func(p testParams, part []byte) ([]byte, error) {
		return append(part, strings.Repeat("!", p.Times)...), nil
	},
}

func stage(t *testing.T, args []string, input []byte) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := shout.run(args, bytes.NewReader(input), &out)
	return out.String(), err
}

func records(parts ...string) (out []byte) {
	for _, p := range parts {
		out = contract.AppendRecord(out, []byte(p))
	}
	return out
}

func TestStages(t *testing.T) {
	for _, c := range []struct {
		stage       string
		input, want string
	}{
		{"split", `{}`, string(records("hey"))},
		{"split", `{"words":["x","y"],"times":2}`, string(records("x", "y", "x", "y"))},
		{"map", "quiet", "QUIET"},
		{"reduce", string(records("A", "B", "C")), "ABC"},
		{"reduce", "", ""},
		{"render", string(records(`{"times":2}`, "HEY")), "HEY!!"},
	} {
		if got, err := stage(t, []string{c.stage}, []byte(c.input)); err != nil || got != c.want {
			t.Errorf("%s of %q: %q, %v", c.stage, c.input, got, err)
		}
	}
	for says, c := range map[string]struct {
		args  []string
		input string
	}{
		"want one argument":       {nil, ""},
		`no stage "dance" here`:   {[]string{"dance"}, ""},
		"read the parameters":     {[]string{"split"}, `{"words":1}`},
		"that is too often":       {[]string{"split"}, `{"times":4}`},
		"in the middle of one":    {[]string{"reduce"}, "\x05ab"},
		"cannot unmarshal string": {[]string{"render"}, string(records(`{"times":"x"}`, ""))},
	} {
		if _, err := stage(t, c.args, []byte(c.input)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v %q: %v", c.args, c.input, err)
		}
	}
}

// The schema is written from the fields: forms keep their order.
func TestManifest(t *testing.T) {
	text, err := stage(t, []string{"describe"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := contract.ParseManifest([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var schema bytes.Buffer
	if err := json.Compact(&schema, m.Parameters); err != nil {
		t.Fatal(err)
	}
	want := `{"type":"object","examples":[{"words":["a","b"],"times":2,"speed":0,"point":[0,0],"loud":false}],"properties":{` +
		`"words":{"title":"Words","description":"What to shout.","type":"array","default":["hey"],"minItems":1,"maxItems":9,"items":{"type":"string"}},` +
		`"times":{"type":"integer","default":1,"minimum":1,"maximum":3},` +
		`"speed":{"type":"number","default":0.5},` +
		`"point":{"type":"array","default":[0,0],"minItems":2,"maxItems":2,"items":{"type":"number","minimum":-4,"maximum":4}},` +
		`"loud":{"type":"boolean","default":false}},"additionalProperties":false}`
	if schema.String() != want {
		t.Errorf("the schema is\n%s\ninstead of\n%s", schema.String(), want)
	}
	if !slices.Equal(m.Stages, []contract.Stage{contract.Split, contract.Map, contract.Reduce, contract.Render}) {
		t.Errorf("%v", m.Stages)
	}
	if _, err := Schema(struct{ F func() }{}); err == nil {
		t.Error("a function is a parameter")
	}
}
