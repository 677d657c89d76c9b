package api

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// A job that is understood says the same when it is written again.
func FuzzNewJob(f *testing.F) {
	for _, body := range []string{
		`{"program":"square","params":{"numbers":[1,2]},"policy":"strict:3","priority":2.5,"title":"t"}`,
		`{"program":"x","input":{"text":"a\n","split":"lines"},"args":["-v"],"collect":"ndjson"}`,
		`{"program":"x","colour":"red"}`, `{"priority":1e309}`, `{"program":"x"}{"program":"y"}`, `null`, ``,
		strings.Repeat(`{"params":`, 9999), `{"title":"\ud800"}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		wanted, err := parseJob(body)
		if err != nil {
			return
		}
		once, err := json.Marshal(wanted)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseJob(once)
		if err != nil {
			t.Fatalf("%s: %v", once, err)
		}
		if twice, err := json.Marshal(again); err != nil || !reflect.DeepEqual(once, twice) {
			t.Errorf("%s became %s, %v", once, twice, err)
		}
	})
}

// The id of a last event, whatever it is, is at most what was given out.
func FuzzLastEventID(f *testing.F) {
	for _, id := range []string{"", "1", "-1", "9223372036854775807", "9223372036854775808", "abc"} {
		f.Add(id)
	}
	h := newHub(func(id string) string { return id })
	f.Fuzz(func(t *testing.T, id string) {
		if seen := h.since(id); seen > h.clock {
			t.Errorf("%q is %d of %d", id, seen, h.clock)
		}
	})
}
