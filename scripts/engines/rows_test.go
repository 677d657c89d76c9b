package engines

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"potluck/sandbox"
	"potluck/sandbox/process"
	"potluck/sandbox/profile"
	"potluck/sandbox/wasmtest"
)

// shared are modules that package profile is tested with too; beside each is
// what it was made from.
const shared = "../../sandbox/profile/testdata/modules/"

// canonicalNaNs is what nan.c prints: every NaN with the same bits.
const canonicalNaNs = "7ff8000000000000 7ff8000000000000 7ff8000000000000 7ff8000000000000 7fc00000 7ff8000000000000 7fc00000 " +
	"7ff8000000000000 7ff8000000000000 3ff0000000000000 7ff8000000000000 3ff0000000000000 7ff8000000000000 0000000000000000 nan nan nan 2\n"

// TestWhatEnginesWouldDoDifferently runs programs whose outputs were once
// different on different machines.
func TestWhatEnginesWouldDoDifferently(t *testing.T) {
	everywhere(t, func(t *testing.T, e engine, _ *volunteer) {
		for name, c := range map[string]struct {
			file, input, want string
			kind              sandbox.Kind
		}{
			"zero by zero":                 {file: shared + "mean.wasm", input: "\n", want: "nan\n"},
			"twenty ways to a NaN":         {file: shared + "nan.wasm", want: canonicalNaNs},
			"a table past V8's bound":      {file: shared + "tablegrow.wasm", want: "no room\n"},
			"tables larger than memory":    {file: shared + "bigtable.wasm", kind: sandbox.Trap},
			"a start section that writes":  {file: shared + "startsec.wasm", want: "hello\nhello\n"},
			"what wazero on arm64 mistook": {file: "testdata/mistakes.wasm", want: "\x20\x19\x01\x00\x01\x00\x01\x00"},
		} {
			o := e.run(t, published(t, read(t, c.file)), sandbox.Task{Input: []byte(c.input)})
			if string(o.output) != c.want || o.kind != string(c.kind) {
				t.Errorf("%s: %v, %q; want %q, failure %q", name, o, o.output, c.want, c.kind)
			}
		}
	})
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestWhatIsPublishedIsCompiledEverywhere runs a program with as many locals as
// are allowed, and refuses one with more.
func TestWhatIsPublishedIsCompiledEverywhere(t *testing.T) {
	const most = 50_000
	if _, err := profile.Publish(manyLocals(most+1), wasmtest.MaxMemory); err == nil {
		t.Error("a program with more locals than engines compile was published")
	}
	everywhere(t, func(t *testing.T, e engine, _ *volunteer) {
		if o := e.run(t, published(t, manyLocals(most)), sandbox.Task{}); o.kind != "" {
			t.Error(o)
		}
	})
}

// manyLocals is a program whose _start has so many local variables, and does nothing.
func manyLocals(n int) []byte {
	module := wasmtest.Module(1)
	before, _, _ := bytes.Cut(module, []byte{10, 8, 1, 6}) // the code section comes last: one function
	count := []byte{byte(n) | 0x80, byte(n>>7) | 0x80, byte(n >> 14)}
	return slices.Concat(before, []byte{10, 8, 1, 6, 1}, count, []byte{0x7f, 0x0b})
}

// TestTablesStayUnderTheMemoryLimit demands that a program whose tables grow as
// far as they can takes little more memory than its limit.
func TestTablesStayUnderTheMemoryLimit(t *testing.T) {
	others := children(t) // the engines of other tests, which have compiled more
	here := native(process.Config{})(t)
	defer here.close()
	here.run(t, published(t, read(t, shared+"bigtable.wasm")), sandbox.Task{})
	const engineItself = 150 << 20
	looked := 0
	for process, peak := range children(t) {
		if _, old := others[process]; old {
			continue
		}
		if looked++; peak > wasmtest.MaxMemory+engineItself {
			t.Errorf("an executor took %d MB with a limit of %d MB", peak>>20, wasmtest.MaxMemory>>20)
		}
	}
	if looked != 1 {
		t.Errorf("%d executors were looked at", looked)
	}
}

// children are the processes that this one has started and that run, with the
// largest memory in bytes that each has had (Linux).
func children(t *testing.T) map[string]int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/status")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]int{}
	for _, file := range stats {
		data, _ := os.ReadFile(file) // it may have ended
		if field(data, "PPid") == strconv.Itoa(os.Getpid()) {
			kb, _ := strconv.Atoi(strings.TrimSuffix(field(data, "VmHWM"), " kB"))
			all[file] = kb << 10
		}
	}
	return all
}

// field reads a line of a process's status.
func field(status []byte, name string) string {
	_, rest, _ := strings.Cut(string(status), fmt.Sprintf("\n%s:", name))
	value, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(value)
}
