package program

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// split gives all inputs that a splitter makes of data.
func split(t rapid.TB, name string, data []byte) (all []string) {
	t.Helper()
	s, err := ParseSplitter(name)
	if err == nil {
		err = s.Split(bytes.NewReader(data), func(in []byte) error { all = append(all, string(in)); return nil })
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return all
}

// Nothing is lost or added: the inputs put together are the data. Each but the
// last has n lines, and each ends at a line's end.
func TestLines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := []byte(rapid.StringMatching(`([ab]*\n|\r\n)*[ab]*`).Draw(t, "data"))
		n := rapid.IntRange(1, 5).Draw(t, "n")
		all := split(t, "lines:"+strconv.Itoa(n), data)
		if strings.Join(all, "") != string(data) {
			t.Fatalf("%q", all)
		}
		for i, in := range all {
			if last := i == len(all)-1; !last && strings.Count(in, "\n") != n || !last && !strings.HasSuffix(in, "\n") || in == "" {
				t.Fatalf("input %d is %q", i, in)
			}
		}
	})
}

// Lines may be longer than the reader's buffer.
func TestLongLines(t *testing.T) {
	long := strings.Repeat("x", 200<<10) + "\n"
	if all := split(t, "lines", []byte(long+"y\n"+long)); !slices.Equal(all, []string{long, "y\n", long}) {
		t.Errorf("%d inputs", len(all))
	}
}

func TestBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := rapid.SliceOf(rapid.Byte()).Draw(t, "data")
		n := rapid.IntRange(1, 9).Draw(t, "n")
		all := split(t, "bytes:"+strconv.Itoa(n), data)
		if strings.Join(all, "") != string(data) || len(all) != (len(data)+n-1)/n {
			t.Fatalf("%q", all)
		}
	})
}

// A range has the numbers that counting by steps gives, also at the ends of
// what an int64 holds.
func TestRange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		step := rapid.Int64Range(-1000, 1000).Filter(func(v int64) bool { return v != 0 }).Draw(t, "step")
		count := rapid.Int64Range(1, 50).Draw(t, "count")
		extra := rapid.Int64Range(0, max(step, -step)-1).Draw(t, "extra")
		length := (count-1)*max(step, -step) + extra
		low := rapid.SampledFrom([]int64{math.MinInt64, -length / 2, math.MaxInt64 - length}).Draw(t, "low")
		from, to := low, low+length
		if step < 0 {
			from, to = to, from
		}
		want := make([]string, count)
		for i := range want {
			want[i] = strconv.FormatInt(from+int64(i)*step, 10)
		}
		name := "range:" + strconv.FormatInt(from, 10) + ":" + strconv.FormatInt(to, 10) + ":" + strconv.FormatInt(step, 10)
		if all := split(t, name, nil); !slices.Equal(all, want) {
			t.Fatalf("%s: %v", name, all)
		}
	})
}

func TestItems(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOf(rapid.OneOf(
			rapid.Map(rapid.Int(), func(v int) any { return v }), rapid.Map(rapid.String(), func(v string) any { return v }),
			rapid.Map(rapid.SliceOf(rapid.Bool()), func(v []bool) any { return v }),
		)).Draw(t, "values")
		data, err := json.Marshal(values)
		if err != nil {
			t.Fatal(err)
		}
		all := split(t, "json", data)
		if again := "[" + strings.Join(all, ",") + "]"; again != string(data) && len(values) > 0 {
			t.Fatalf("%s", again)
		}
	})
}

func TestBadSplits(t *testing.T) {
	for _, name := range []string{
		"", "words", "lines:", "lines:0", "lines:-1", "lines:x", "bytes", "bytes:0", "json:1", "range", "range:1", "range:1:2:3:4",
		"range:1:x", "range:1:2:0", "range:2:1", "range:1:2:-1", "range:0:10000000", "range:-9223372036854775808:9223372036854775807",
		"range:0:99999999999999999999",
	} {
		if s, err := ParseSplitter(name); err == nil {
			t.Errorf("%q is %+v", name, s)
		}
	}
	s, _ := ParseSplitter("json")
	for _, data := range []string{"", "1", "{}", "[1,]", "[1", `["a" "b"]`} {
		if err := s.Split(strings.NewReader(data), func([]byte) error { return nil }); err == nil || !strings.Contains(err.Error(), "not a JSON array") {
			t.Errorf("%q: %v", data, err)
		}
	}
	mine := errors.New("enough")
	for _, name := range []string{"lines", "bytes:1", "json", "range:1:9"} {
		s, err := ParseSplitter(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Split(strings.NewReader("[1,\n2]"), func([]byte) error { return mine }); !errors.Is(err, mine) {
			t.Errorf("%s goes on: %v", name, err)
		}
	}
}

func TestInputs(t *testing.T) {
	kept := 0
	in := Inputs{Keep: func([]byte) error { kept++; return nil }}
	for range 2 {
		if err := in.Add(make([]byte, MaxInput)); err != nil {
			t.Fatal(err)
		}
	}
	if err := in.Add(make([]byte, MaxInput+1)); err == nil || !strings.Contains(err.Error(), "input 2 has more than 16777216 bytes") {
		t.Errorf("a large one: %v", err)
	}
	in.Bytes = MaxInputs
	if err := in.Add([]byte{1}); err == nil || !strings.Contains(err.Error(), "268435456 bytes") {
		t.Errorf("too many bytes: %v", err)
	}
	in.Bytes, in.Count = 0, MaxTasks
	if err := in.Add(nil); err == nil || !strings.Contains(err.Error(), "more than 10000000 tasks") {
		t.Errorf("too many: %v", err)
	}
	if kept != 2 {
		t.Errorf("%d were kept", kept)
	}
}

func TestPolicies(t *testing.T) {
	for name, good := range map[string]bool{
		"trusted": true, "strict:2": true, "strict:5": true,
		"": false, "trusted:1": false, "strict": false, "strict:1": false, "strict:0": false, "strict:-1": false, "strict:x": false, "strict:99": false,
		"blind": false, "adaptive:2": false,
	} {
		p, err := ParsePolicy(name)
		if (err == nil) != good || good && p.Quorum < 1 {
			t.Errorf("%q: %+v, %v", name, p, err)
		}
	}
}
