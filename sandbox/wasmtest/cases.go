package wasmtest

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"
)

// MaxMemory is what the modules of the cases must be published with, in bytes.
const MaxMemory = 64 << 20

// A Case is one run that every engine must give the same bytes for: see
// docs/programs.md.
type Case struct {
	Name   string
	Module []byte // not published yet
	Args   []string
	Input  []byte
	Limit  int // bytes of output; 0 is the usual one
	// Want is the output, or the SHA-256 of a long one.
	Want   []byte
	Hashed bool
	Seeded int // the output is so many bytes of the generator that docs/programs.md describes
	Stderr string
	Fail   string // the kind of failure that it must end in, if any
}

// Cases is the conformance suite.
func Cases() []Case {
	wall := uint64(1640995200e9) // 2022-01-01T00:00:00Z in ns
	big := bytes.Repeat([]byte("potluck "), 100_000)
	huge := bytes.Repeat([]byte("0123456789abcdef"), 1<<20) // 16 MiB, as much as a task may write
	const pages = MaxMemory >> 16
	tenth, fifth := 0.1, 0.2 // variables: constants would be added exactly
	return append([]Case{
		{Name: "echo", Module: Echo(), Input: []byte("hello"), Want: []byte("hello")},
		{Name: "empty input", Module: Echo()},
		{Name: "big echo", Module: Echo(), Input: big, Want: big},
		hashed(Case{Name: "the largest output", Module: Echo(), Input: huge, Want: huge}),
		{Name: "one byte too much", Module: Echo(), Input: append(bytes.Clone(huge), '!'), Fail: "output"},
		{Name: "arguments", Module: Arguments(), Args: []string{"map", "ü", ""}, Want: []byte("program\x00map\x00ü\x00\x00")},
		{Name: "no environment", Module: Environment(), Want: make([]byte, 8)},
		{Name: "exit 0", Module: Exit(0, "a note"), Stderr: "a note"},
		{Name: "exit 3", Module: Exit(3, "no luck"), Stderr: "no luck", Fail: "exit"},
		{Name: "trap", Module: Trap(), Fail: "trap"},
		{Name: "recursion", Module: Recurse(), Fail: "trap"},
		{Name: "flood", Module: Flood(), Limit: 1 << 20, Fail: "output"},
		{Name: "memory", Module: Hog(), Want: binary.LittleEndian.AppendUint32(nil, pages-pages%16-15)},
		{Name: "clocks", Module: Clocks(5e9), Want: words(wall, wall+1e6, 0, 5e9+1e6)},
		{Name: "a sleep of nothing", Module: Clocks(0), Want: words(wall, wall+1e6, 0, 1e6)},
		{Name: "resolutions", Module: Resolutions(), Want: words(1000, 1)},
		{Name: "random", Module: Random(20), Args: []string{"map"}, Input: []byte("1"), Seeded: 20},
		{Name: "floats", Module: Floats(), Want: words(math.Float64bits(tenth+fifth), math.Float64bits(math.Sqrt2), math.Float64bits(1.0/3), math.MaxInt64, 0)},
		{Name: "a file that is not open", Module: BadFile(), Want: []byte{8, 0, 0, 0}}, // EBADF
	}, leftovers()...)
}

// leftovers are programs that leave memory dirty, however they end, and
// others after them that must find it empty: few pages and many.
func leftovers() []Case {
	const few, many = 4, 80
	clean := func(pages int) Case {
		return Case{Name: fmt.Sprintf("%d clean pages", pages), Module: Clean(pages), Want: make([]byte, 8)}
	}
	return []Case{
		{Name: "dirty pages", Module: Dirty(many)},
		clean(few), clean(many),
		{Name: "dirty pages and a trap", Module: Dirty(many, opUnreachable), Fail: "trap"},
		clean(many),
		{Name: "dirty pages and an exit", Module: Dirty(many, c(1), opCall, procExit), Fail: "exit"},
		clean(many),
		{Name: "dirty pages and a flood", Module: Dirty(many, vec(bufSize), write()), Limit: 1000, Fail: "output"},
		clean(many),
		{Name: "few dirty pages", Module: Dirty(few)},
		clean(many),
		{Name: "few dirty pages and a trap", Module: Dirty(few, opUnreachable), Fail: "trap"},
		clean(few),
	}
}

func hashed(c Case) Case {
	sum := sha256.Sum256(c.Want)
	c.Want, c.Hashed = sum[:], true
	return c
}

// Check says how a run of the module with a hash differs from what the case
// wants, nil if it does not.
func (c *Case) Check(id string, output, stderr []byte, failure string) error {
	got, want := output, c.Want
	if c.Hashed {
		sum := sha256.Sum256(output)
		got = sum[:]
	}
	if c.Seeded > 0 {
		want = splitMix(c.seed(id), c.Seeded)
	}
	if failure == c.Fail && bytes.Equal(got, want) && string(stderr) == c.Stderr {
		return nil
	}
	return fmt.Errorf("%d bytes %.40x, stderr %q, failure %q; want %.40x, stderr %q, failure %q",
		len(output), got, stderr, failure, want, c.Stderr, c.Fail)
}

func (c *Case) seed(id string) uint64 {
	module, err := hex.DecodeString(id)
	if err != nil {
		panic(err)
	}
	sum := sha256.Sum256(slices.Concat(module, []byte(strings.Join(c.Args, "\x00")), c.Input))
	return binary.LittleEndian.Uint64(sum[:])
}

// splitMix gives n bytes of SplitMix64, written down a second time on purpose.
func splitMix(state uint64, n int) (out []byte) {
	for len(out) < n {
		state += 0x9e3779b97f4a7c15
		z := (state ^ state>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		out = binary.LittleEndian.AppendUint64(out, z^z>>31)
	}
	return out[:n]
}

func words(all ...uint64) (out []byte) {
	for _, w := range all {
		out = binary.LittleEndian.AppendUint64(out, w)
	}
	return out
}
