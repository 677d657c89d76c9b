package assemble

import (
	"reflect"
	"testing"
)

// computed is a record of a task that was out for a minute.
func computed(task int, voters ...Voter) Record {
	return Record{Task: task, Voters: voters, Lent: 1, Accepted: 60_001}
}

// A task is worth what it took, the same to all who had its answer, and no more
// than what one of them says.
func TestCredits(t *testing.T) {
	for name, test := range map[string]struct {
		records []Record
		want    []Credit
	}{
		"nobody": {want: []Credit{}},
		"a fast and a slow machine": {
			[]Record{computed(0, Voter{"fast", 100}, Voter{"slow", 900}), computed(1, Voter{"fast", 110}, Voter{"slow", 800})},
			[]Credit{{"fast", 2, 210}, {"slow", 2, 210}},
		},
		"tasks that differ": {
			[]Record{computed(0, Voter{"ada", 26}), computed(1, Voter{"bob", 26}), computed(2, Voter{"eve", 36_000})},
			[]Credit{{"ada", 1, 26}, {"bob", 1, 26}, {"eve", 1, 36_000}},
		},
		"a liar alone":   {[]Record{computed(0, Voter{"eve", 1 << 40})}, []Credit{{"eve", 1, 60_000}}},
		"less than none": {[]Record{computed(0, Voter{"eve", -5})}, []Credit{{"eve", 1, 1}}},
		"an old record":  {[]Record{{Voters: []Voter{{"ada", 7}}}}, []Credit{{"ada", 1, 7}}},
	} {
		t.Run(name, func(t *testing.T) {
			var tally Tally
			for _, r := range test.records {
				tally.Add(r)
			}
			if got := tally.Credits(); !reflect.DeepEqual(got, test.want) {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
}

// The credit in a running job follows what becomes of its tasks.
func TestCreditsFollow(t *testing.T) {
	a := New(plan(2), joiner{}, t.TempDir())
	defer a.Close()
	check := func(when string, want ...Credit) {
		t.Helper()
		if got := a.Credits(); !reflect.DeepEqual(got, append([]Credit{}, want...)) {
			t.Errorf("%s: %v, want %v", when, got, want)
		}
	}
	check("at first")
	for range 2 { // the second time changes nothing
		if err := a.Add(computed(0, Voter{"ada", 10}), nil); err != nil {
			t.Fatal(err)
		}
	}
	check("with one", Credit{"ada", 1, 10})
	if err := a.Confirm(0, []Voter{{"bob", 4}}, false); err != nil {
		t.Fatal(err)
	}
	check("with another opinion", Credit{"ada", 1, 4}, Credit{"bob", 1, 4})
	a.Remove(0)
	a.Remove(1)
	check("taken back")
}

// What a log says twice counts once.
func TestConfirmedTwiceCountsOnce(t *testing.T) {
	a := New(Plan{Tasks: 1}, nil, t.TempDir())
	defer a.Close()
	if err := a.Add(Record{Voters: []Voter{{ID: "Ada", Millis: 5}}, Accepted: 10}, []byte("output")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := a.Confirm(0, []Voter{{ID: "Bob", Millis: 5}}, false); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range a.Credits() {
		if c.Tasks != 1 {
			t.Errorf("%+v", c)
		}
	}
}
