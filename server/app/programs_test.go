package app

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"potluck/contract"
	"potluck/sandbox"
	"potluck/sandbox/process"
	"potluck/sandbox/profile"
	"potluck/sandbox/wasmtest"
	"potluck/server/program"
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

// What the catalogue says of each program is what the program says of itself
// in the sandbox, and its defaults and examples fit its own schema.
func TestCatalogue(t *testing.T) {
	all, err := tasks.Catalogue()
	if err != nil {
		t.Fatal(err)
	}
	pool := sandbox.NewPool(1, process.Config{Cache: filepath.Join(cache, "code")}.Spawn)
	defer pool.Close()
	for _, p := range all {
		j := LocalJob{Program: p.Name}
		opened, err := j.open(t.Context(), pool)
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

// The largest picture that the form of mandelbrot allows is rendered in the
// memory of a grid as it comes, also if no file format makes it smaller.
func TestLargestPictureIsRendered(t *testing.T) {
	pool := sandbox.NewPool(1, process.Config{Cache: filepath.Join(cache, "code")}.Spawn)
	defer pool.Close()
	j := LocalJob{Program: "mandelbrot"}
	p, err := j.open(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	size := image.Point{X: 8192, Y: 8192}
	wanted, err := p.CheckParams(fmt.Appendf(nil, `{"width":%d,"height":%d,"iterations":65535}`, size.X, size.Y))
	if err != nil {
		t.Fatal(err)
	}
	picture, err := p.Render(t.Context(), pool, wanted, noise(size))
	if err != nil {
		t.Fatal(err)
	}
	if config, err := png.DecodeConfig(bytes.NewReader(picture)); err != nil || config.Width != size.X || config.Height != size.Y {
		t.Errorf("a picture of %d × %d, %v", config.Width, config.Height, err)
	}
}

// Reduce and render may have more memory than a task, unless the module's own
// maximum is smaller.
func TestStagesMayHaveMoreMemory(t *testing.T) {
	pool := sandbox.NewPool(1, process.Config{}.Spawn)
	defer pool.Close()
	for _, c := range []struct {
		published, task, stage int // bytes
		render, mapped         uint32
	}{
		{64 << 20, 64 << 20, 128 << 20, 128 << 4, 64 << 4},
		{32 << 20, 64 << 20, 128 << 20, 32 << 4, 32 << 4}, // it wants no more
	} {
		task, err := profile.Publish(wasmtest.Hog(), c.published)
		if err != nil {
			t.Fatal(err)
		}
		wide, err := profile.Widen(task.Module, c.task, c.stage)
		if err != nil {
			t.Fatal(err)
		}
		p := program.Program{
			Module: inMemory(task.Module, sandbox.Profile), Wide: inMemory(wide.Module, sandbox.Profile),
			Manifest: &contract.Manifest{Stages: []contract.Stage{contract.Map, contract.Render}},
		}
		rendered, err := p.Render(t.Context(), pool, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		mapped := pool.Run(t.Context(), sandbox.Task{Module: p.Module, Args: p.MapArgs(nil)})
		if got := binary.LittleEndian.Uint32(rendered); got > c.render || got+32 < c.render {
			t.Errorf("render had %d pages of memory, not %d", got, c.render)
		}
		if got := binary.LittleEndian.Uint32(mapped.Output); got > c.mapped || got+32 < c.mapped {
			t.Errorf("map had %d pages of memory, not %d", got, c.mapped)
		}
	}
}

// noise gives tiles of a picture with as many iterations as chance will have it.
func noise(size image.Point) (part []byte) {
	const tile = 256
	chance := rand.NewChaCha8([32]byte{})
	part = make([]byte, 0, 2*size.X*size.Y+16*size.X*size.Y/tile/tile)
	for y := 0; y < size.Y; y += tile {
		for x := 0; x < size.X; x += tile {
			for _, v := range []int{x, y, tile, tile} {
				part = binary.LittleEndian.AppendUint32(part, uint32(v))
			}
			pixels := part[len(part) : len(part)+2*tile*tile]
			_, _ = chance.Read(pixels) // never fails
			part = part[:len(part)+len(pixels)]
		}
	}
	return part
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
	// Randomness is seeded with the arguments: that shows that they arrive.
	random := filepath.Join(t.TempDir(), "random.wasm")
	if err := os.WriteFile(random, wasmtest.Random(8), 0o600); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, args := range [][]string{nil, {"a"}, {"a", "b"}, {"a,b"}} {
		seen[string(compute(t, LocalJob{Program: random, Split: "range:1:1", Args: args}))] = true
	}
	if len(seen) != 4 {
		t.Errorf("other arguments give the same: %d kinds", len(seen))
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
		{LocalJob{Program: file("exit.wasm", wasmtest.Exit(7, "no luck")), Split: "range:1:3"}, "code 7: no luck; its input: "},
		{LocalJob{Program: file("flood.wasm", wasmtest.Flood()), Split: "range:1:3"}, "16777216 bytes"},
		{LocalJob{Program: file("deep.wasm", wasmtest.Recurse()), Split: "range:1:3"}, "stack overflow"},
		{LocalJob{Program: file("echo.wasm", wasmtest.Echo())}, "--input FILE"},
		{LocalJob{Program: file("echo.wasm", wasmtest.Echo()), Input: strings.NewReader("")}, "nothing to do"},
		{LocalJob{Program: "primes", Params: []byte(`{"from":10,"to":2}`)}, "to (2) is smaller than from (10)"},
		{LocalJob{Program: "primes", Params: []byte(`{"to":"many"}`)}, "/to must be an integer, not a string"},
		{LocalJob{Program: "primes", Params: []byte(`{`)}, "not JSON"},
		{LocalJob{Program: "square", Params: []byte(`{"numbers":[1e200]}`)}, "the square of 1e200 is too large"},
	} {
		c.Cache = cache
		if err := RunLocal(t.Context(), c.LocalJob, io.Discard); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s %s: %v", c.Program, c.Params, err)
		}
	}
}
