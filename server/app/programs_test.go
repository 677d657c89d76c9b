package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"potluck/contract"
	"potluck/sandbox"
	"potluck/sandbox/wasmtest"
	"potluck/scripts/truth"
	"potluck/tasks"
)

// compute runs a whole job on this machine, as potluck run does.
func compute(t *testing.T, j LocalJob) []byte {
	t.Helper()
	var out bytes.Buffer
	j.Cache = cache
	if err := RunLocal(t.Context(), j, &out); err != nil {
		t.Fatalf("%s %s: %v", j.Program, j.Params, err)
	}
	return out.Bytes()
}

func params(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain values never fail
	}
	return data
}

func TestPrimes(t *testing.T) {
	for to, want := range truth.Primes {
		if err := truth.CheckNumber(compute(t, LocalJob{Program: "primes", Params: fmt.Appendf(nil, `{"to":%d}`, to)}), "count", want); err != nil {
			t.Errorf("up to %d: %v", to, err)
		}
	}
	// The edges of a range count, wherever it lies.
	for span, want := range map[[2]int]uint64{{0, 0}: 0, {0, 2}: 1, {2, 2}: 1, {7, 7}: 1, {8, 8}: 0, {9_999_991, 9_999_991}: 1, {10_000_000, 10_000_019}: 1} {
		result := compute(t, LocalJob{Program: "primes", Params: fmt.Appendf(nil, `{"from":%d,"to":%d}`, span[0], span[1])})
		if err := truth.CheckNumber(result, "count", want); err != nil {
			t.Errorf("from %d to %d: %v", span[0], span[1], err)
		}
	}
}

func TestQueens(t *testing.T) {
	for n, want := range truth.Queens {
		if err := truth.CheckNumber(compute(t, LocalJob{Program: "nqueens", Params: fmt.Appendf(nil, `{"n":%d}`, n)}), "solutions", want); err != nil {
			t.Errorf("%d queens: %v", n, err)
		}
	}
}

func TestMandelbrot(t *testing.T) {
	for _, view := range []truth.Picture{
		{Width: 1, Height: 1, Zoom: 1, Iterations: 1},
		{Width: 700, Height: 300, Center: [2]float64{-0.5, 0}, Zoom: 1, Iterations: 1000},
		{Width: 257, Height: 511, Center: [2]float64{-0.743643887, 0.131825904}, Zoom: 5000, Iterations: 2000},
		{Width: 512, Height: 512, Center: [2]float64{0.275, 0.007}, Zoom: 1e13, Iterations: 60_000},
	} {
		if err := truth.CheckPicture(compute(t, LocalJob{Program: "mandelbrot", Params: params(view)}), view); err != nil {
			t.Errorf("%+v: %v", view, err)
		}
	}
}

func TestWordcount(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	letters := []rune("aAbBzZ019éß漢 .,-\n\t\"'\x00")
	var text strings.Builder
	for range 200_000 {
		text.WriteRune(letters[r.IntN(len(letters))])
	}
	for name, text := range map[string]string{
		"random":      text.String(),
		"one word":    "word",
		"no words":    " .\n",
		"long line":   strings.Repeat("It was the best of times, it was the worst of times. ", 1000),
		"not UTF-8":   "\xff\xfe a\x80b \xff\xfe",
		"windows":     "one\r\ntwo\r\none\r\n",
		"many chunks": strings.Repeat("The quick brown fox\njumps over the lazy dog\n", 5000),
	} {
		result := compute(t, LocalJob{Program: "wordcount", Input: strings.NewReader(text)})
		if _, err := truth.CheckWords(result, []byte(text)); err != nil {
			t.Errorf("%s (seed %d): %v", name, seed, err)
		}
	}
	if top := compute(t, LocalJob{Program: "wordcount", Params: []byte(`{"top":2}`), Input: strings.NewReader("c b c a b c")}); string(top) != "word,count\nc,3\nb,2\n" {
		t.Errorf("the first two: %q", top)
	}
}

func TestSquare(t *testing.T) {
	numbers := make([]int64, 1000)
	for i := range numbers {
		numbers[i] = int64(i*i*i) - 1000
	}
	if err := truth.CheckSquares(compute(t, LocalJob{Program: "square", Params: params(map[string]any{"numbers": numbers})}), numbers); err != nil {
		t.Error(err)
	}
	got := compute(t, LocalJob{Program: "square", Params: []byte(`{"numbers":[123456789012345678901234567890, 1.5, -2, 1e100]}`)})
	if want := `[15241578753238836750495351562536198787501905199875019052100,2.25,4,1e+200]`; string(bytes.TrimSpace(got)) != want {
		t.Errorf("squares: %s", got)
	}
}

// The estimate is as far off as its standard error says, over many seeds.
func TestPi(t *testing.T) {
	var chi2 float64
	const seeds = 12
	for seed := range seeds {
		var got struct{ Pi, Stderr float64 }
		if err := json.Unmarshal(compute(t, LocalJob{Program: "pi", Params: fmt.Appendf(nil, `{"samples":20000000,"seed":%d}`, seed)}), &got); err != nil {
			t.Fatal(err)
		}
		if want := 4 * math.Sqrt(math.Pi/4*(1-math.Pi/4)/20e6); math.Abs(got.Stderr-want) > want/100 {
			t.Errorf("seed %d: the standard error is %g, not %g", seed, got.Stderr, want)
		}
		off := (got.Pi - math.Pi) / got.Stderr
		chi2 += off * off
	}
	// The 0.001 and 0.999 quantiles of χ² with 12 degrees of freedom. The seeds
	// are fixed, so this holds always or never.
	if chi2 < 2.21 || chi2 > 32.9 {
		t.Errorf("χ² is %g", chi2)
	}
}

func TestSleeper(t *testing.T) {
	var got []struct {
		Task       int
		Volunteers []struct {
			ID string
			MS int
		}
		Output struct {
			Steps uint64
			Check uint64 `json:",string"`
		}
	}
	if err := json.Unmarshal(compute(t, LocalJob{Program: "sleeper", Params: []byte(`{"tasks":10,"work":3}`)}), &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 10 {
		t.Errorf("%d tasks", len(got))
	}
	for i, task := range got {
		// a full-period generator modulo 2⁶⁴ in closed form: x ↦ ax + c, n times
		want := iterate(task.Output.Steps)
		if task.Task != i || len(task.Volunteers) != 1 || task.Output.Check != want || task.Output.Steps > 3_000_000 {
			t.Errorf("task %d: %+v, the check should be %d", i, task, want)
		}
	}
}

// iterate makes n steps of the generator in log n, by squaring the step.
func iterate(n uint64) uint64 {
	a, c := uint64(6364136223846793005), uint64(1442695040888963407)
	x := uint64(1)
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			x = a*x + c
		}
		a, c = a*a, (a+1)*c
	}
	return x
}

// What the catalogue says of each program is what the program says of itself
// in the sandbox, and its defaults and examples fit its own schema.
func TestCatalogue(t *testing.T) {
	all, err := tasks.Catalogue()
	if err != nil {
		t.Fatal(err)
	}
	pool := sandbox.NewPool(1, sandbox.Config{})
	defer pool.Close()
	for _, p := range all {
		j := LocalJob{Program: p.Name}
		opened, err := j.open(t.Context(), pool, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		said, known := *opened.Manifest, p.Manifest
		if !bytes.Equal(compact(said.Parameters), compact(known.Parameters)) {
			t.Errorf("%s: the parameters differ", p.Name)
		}
		said.Parameters, known.Parameters = nil, nil
		if !reflect.DeepEqual(said, known) || said.Name != p.Name || said.Contract != contract.Version {
			t.Errorf("%s says %+v, the catalogue %+v", p.Name, said, known)
		}
		var schema struct {
			Properties map[string]struct{ Default json.RawMessage }
			Examples   []json.RawMessage
		}
		if err := json.Unmarshal(opened.Manifest.Parameters, &schema); err != nil {
			t.Fatal(err)
		}
		defaults := map[string]json.RawMessage{}
		for name, property := range schema.Properties {
			defaults[name] = property.Default
		}
		for _, params := range append(schema.Examples, params(defaults), nil) {
			if _, err := opened.CheckParams(params); err != nil {
				t.Errorf("%s %s: %v", p.Name, params, err)
			}
		}
	}
}

func compact(data []byte) []byte {
	var out bytes.Buffer
	_ = json.Compact(&out, data) // what is not JSON differs
	return out.Bytes()
}

// A plain program is run with its arguments on every kind of input.
func TestPlainPrograms(t *testing.T) {
	echo := filepath.Join(t.TempDir(), "echo.wasm")
	if err := os.WriteFile(echo, wasmtest.Echo(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ split, input, want string }{
		{"", "a\nb", "a\nb"},
		{"lines:2", "a\nb\nc\n", "a\nb\nc\n"},
		{"bytes:3", "abcdefgh", "abcdefgh"},
		{"range:3:-3:-2", "", "31-1-3"},
		{"json", `[1, {"a": [2]}, "x"]`, `1{"a": [2]}"x"`},
	} {
		j := LocalJob{Program: echo, Split: c.split}
		if c.input != "" {
			j.Input = strings.NewReader(c.input)
		}
		if got := compute(t, j); string(got) != c.want {
			t.Errorf("%s: %q instead of %q", c.split, got, c.want)
		}
	}
	lines := compute(t, LocalJob{Program: echo, Split: "range:1:3", Collect: "ndjson"})
	if n := bytes.Count(lines, []byte("\n")); n != 3 || !bytes.Contains(lines, []byte(`"task":2,`)) || !bytes.Contains(lines, []byte(`"output":3`)) {
		t.Errorf("NDJSON: %s", lines)
	}
}

// What goes wrong in a local job is said in words, and ends it.
func TestLocalErrors(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct {
		LocalJob
		says string
	}{
		{LocalJob{Program: "cold-fusion"}, "neither a built-in program nor a file"},
		{LocalJob{Program: file("text.wasm", []byte("hello"))}, "not a WebAssembly module"},
		{LocalJob{Program: file("trap.wasm", wasmtest.Trap()), Split: "range:1:3"}, "unreachable"},
		{LocalJob{Program: file("exit.wasm", wasmtest.Exit(7, "no luck")), Split: "range:1:3"}, "code 7: no luck"},
		{LocalJob{Program: file("flood.wasm", wasmtest.Flood()), Split: "range:1:3"}, "16777216 bytes"},
		{LocalJob{Program: file("deep.wasm", wasmtest.Recurse()), Split: "range:1:3"}, "stack overflow"},
		{LocalJob{Program: file("echo.wasm", wasmtest.Echo())}, "--input FILE"},
		{LocalJob{Program: file("echo.wasm", wasmtest.Echo()), Input: strings.NewReader("")}, "nothing to do"},
		{LocalJob{Program: "primes", Params: []byte(`{"from":10,"to":2}`)}, "to (2) is smaller than from (10)"},
		{LocalJob{Program: "primes", Params: []byte(`{"to":"many"}`)}, "/to got string"},
		{LocalJob{Program: "primes", Params: []byte(`{`)}, "not JSON"},
		{LocalJob{Program: "square", Params: []byte(`{"numbers":[1e200]}`)}, "the square of 1e200 is too large"},
	} {
		c.Cache = cache
		if err := RunLocal(t.Context(), c.LocalJob, io.Discard); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s %s: %v", c.Program, c.Params, err)
		}
	}
}
