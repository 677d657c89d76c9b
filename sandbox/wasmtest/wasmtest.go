// Package wasmtest assembles small WASI commands for tests and benchmarks, as
// small as a C compiler makes them, so that neither needs a C compiler.
package wasmtest

import (
	"encoding/binary"
	"math"
	"slices"

	"potluck/contract"
)

// Instructions and types: WebAssembly Core Specification 2.0, section 5.
const (
	i32, i64 = 0x7f, 0x7e

	opUnreachable = 0x00
	opBlock       = 0x02
	opLoop        = 0x03
	opEnd         = 0x0b
	opBr          = 0x0c
	opBrIf        = 0x0d
	opReturn      = 0x0f
	opCall        = 0x10
	opDrop        = 0x1a
	opGet         = 0x20
	opSet         = 0x21
	opTee         = 0x22
	opLoad        = 0x28
	opStore       = 0x36
	opGrow        = 0x40
	opConst       = 0x41
	opConst64     = 0x42
	opEqz         = 0x45
	opAdd         = 0x6a

	empty = 0x40 // block type
)

// The functions that every module here imports, by index.
const (
	fdRead = iota
	fdWrite
	procExit
	randomGet
	clockGet
	poll
	argsSizes
	argsGet
	environSizes
	clockRes
	imports // their number; the module's own functions come after
)

type function struct {
	name    string
	params  []byte
	results []byte
}

var imported = []function{
	{"fd_read", []byte{i32, i32, i32, i32}, []byte{i32}},
	{"fd_write", []byte{i32, i32, i32, i32}, []byte{i32}},
	{"proc_exit", []byte{i32}, nil},
	{"random_get", []byte{i32, i32}, []byte{i32}},
	{"clock_time_get", []byte{i32, i64, i32}, []byte{i32}},
	{"poll_oneoff", []byte{i32, i32, i32, i32}, []byte{i32}},
	{"args_sizes_get", []byte{i32, i32}, []byte{i32}},
	{"args_get", []byte{i32, i32}, []byte{i32}},
	{"environ_sizes_get", []byte{i32, i32}, []byte{i32}},
	{"clock_res_get", []byte{i32, i32}, []byte{i32}},
}

// Memory layout of the modules: an I/O vector at 0 and 4, the number of bytes
// moved at 8, a clock or a subscription from 16 on, the buffer after that.
const (
	vecAt   = 0
	vecLen  = 4
	moved   = 8
	scratch = 16
	buffer  = 1024
	bufSize = 60 << 10
)

// Echo copies stdin to stdout.
func Echo() []byte { return Module(1, copies()) }

func copies() []byte {
	return loop(read(),
		c(moved), load(), opEqz, opBrIf, 1, // nothing read: the end
		c(vecLen), c(moved), load(), opStore, 2, 0, // write as much as was read
		write())
}

// Say writes the text to stdout, whatever it is asked.
func Say(text string) []byte {
	return Module(1, put(text), vec(len(text)), write())
}

// SayToFew writes the text to stdout, but loops for ever if its input has more
// than n bytes.
func SayToFew(text string, n int) []byte {
	more := []byte{0x4b} // i32.gt_u
	return Module(1, read(), opBlock, empty, c(moved), load(), c(n), more, opEqz, opBrIf, 0, opLoop, empty, opBr, 0, opEnd, opEnd,
		put(text), vec(len(text)), write())
}

// Exit writes the text to stderr and exits with a code.
func Exit(code int, text string) []byte {
	return Module(1, put(text), vec(len(text)), call(fdWrite, c(2), c(vecAt), c(1), c(moved)), opDrop,
		c(code), opCall, procExit)
}

// Picky copies stdin to stdout, unless it begins with the four bytes that it does
// not like: then it says so on stderr and exits with code 3.
func Picky(dislikes string) []byte {
	word := int(int32(binary.LittleEndian.Uint32([]byte(dislikes))))
	says := "what is " + dislikes + "?"
	return Module(1, opBlock, empty, read(),
		c(buffer), load(), c(-word), opAdd, opBrIf, 0,
		put(says), vec(len(says)), call(fdWrite, c(2), c(vecAt), c(1), c(moved)), opDrop, c(3), opCall, procExit,
		opEnd, c(vecLen), c(moved), load(), opStore, 2, 0, write())
}

// Trap executes unreachable.
func Trap() []byte { return Module(1, opUnreachable) }

// GrowFailed traps, and exports the global by which a published module says
// whether that is because its memory could not grow.
func GrowFailed(value int) []byte {
	const global, export = 6, 7
	exports := vectors([][]byte{cat(text("memory"), 2, 0), cat(text("_start"), 0, imports), cat(text("potluck_grow_failed"), 3, 0)})
	var out []byte
	for at, m := 8, Trap(); at < len(m); {
		size, n := binary.Uvarint(m[at+1:])
		end := at + 1 + n + int(size)
		section := m[at:end]
		if m[at] == export {
			section = cat(global, vector(vectors([][]byte{cat(i32, 1, c(value), opEnd)})), export, vector(exports))
		}
		out, at = append(out, section...), end
	}
	return append([]byte("\x00asm\x01\x00\x00\x00"), out...)
}

// Spin loops for ever.
func Spin() []byte { return Module(1, spins()) }

func spins() []byte { return cat(opLoop, empty, opBr, 0, opEnd) }

// Staged answers describe with a manifest, loops for ever in the stages that are
// named, and copies stdin to stdout in the others.
func Staged(manifest string, endless ...string) []byte {
	stage := buffer + len(contract.ProgramName) + 1 // argv[1]
	is := func(name string, code ...any) []byte {   // by the third letter: no two stages share it
		return cat(opBlock, empty, c(stage+2), 0x2d, 0, 0, c(int(name[2])), 0x47, opBrIf, 0, cat(code...), opReturn, opEnd) // i32.load8_u, i32.ne
	}
	code := cat(call(argsGet, c(512), c(buffer)), opDrop, is("describe", put(manifest), vec(len(manifest)), write()))
	for _, name := range endless {
		code = cat(code, is(name, spins()))
	}
	return Module(1, code, copies())
}

// Count counts to n, for a while.
func Count(n int) []byte {
	return Module(1, opLoop, empty, opGet, 0, c(1), opAdd, opTee, 0, c(n), 0x49, opBrIf, 0, opEnd) // 0x49: i32.lt_u
}

// Flood writes to stdout for ever.
func Flood() []byte { return Module(1, vec(bufSize), opLoop, empty, write(), opBr, 0, opEnd) }

// Hog grows its memory by 1 MiB at a time until that fails, then writes how
// many pages it got as four bytes, little endian.
func Hog() []byte {
	grow := []byte{opConst, 16, opGrow, 0, opConst, 0x7f, 0x46, opBrIf, 1, opBr, 0} // 0x46: i32.eq
	return Module(1, opBlock, empty, opLoop, empty, grow, opEnd, opEnd,
		c(buffer), []byte{0x3f, 0}, opStore, 2, 0, vec(4), write())
}

// Dirty grows its memory by so many pages, sets every bit of all of it, and ends
// with the given code.
func Dirty(pages int, end ...any) []byte {
	store := []byte{opConst64, 0x7f, 0x37, 3, 0} // i64.store of -1
	return Module(1, c(pages), opGrow, 0, opDrop, sweep(opGet, 0, store), cat(end...))
}

// Clean grows its memory by so many pages and writes eight bytes: all of its
// memory, eight bytes at a time, put together by or.
func Clean(pages int) []byte {
	or := cat(opGet, 1, opGet, 0, 0x29, 3, 0, 0x84, opSet, 1) // i64.load, i64.or
	return Module(1, c(pages), opGrow, 0, opDrop, sweep(or),
		c(buffer), opGet, 1, 0x37, 3, 0, vec(8), write())
}

// sweep runs code with every eighth address of the memory in the first local.
func sweep(code ...any) []byte {
	end := []byte{0x3f, 0, opConst, 16, 0x74, 0x49} // memory.size << 16, i32.lt_u
	return cat(opLoop, empty, cat(code...), opGet, 0, c(8), opAdd, opTee, 0, end, opBrIf, 0, opEnd)
}

// Recurse calls itself without end.
func Recurse() []byte { return Module(1, opCall, imports) }

// Random writes n bytes of randomness.
func Random(n int) []byte {
	return Module(1, call(randomGet, c(buffer), c(n)), opDrop, vec(n), write())
}

// Clocks writes four readings of eight bytes each: the wall clock twice, then
// the monotonic clock, a sleep of sleepNs, and the monotonic clock again.
func Clocks(sleepNs int64) []byte {
	read := func(id, i int) []byte {
		return cat(call(clockGet, c(id), []byte{opConst64, 0}, c(buffer+8*i)), opDrop)
	}
	timeout := append([]byte{opConst64}, sleb(sleepNs)...)
	return Module(1, read(0, 0), read(0, 1), read(1, 2),
		c(scratch+16), opConst, 1, opStore, 2, 0, // subscription: clock 1 …
		c(scratch+24), timeout, 0x37, 3, 0, // … in sleepNs (i64.store)
		call(poll, c(scratch), c(512), c(1), c(moved)), opDrop,
		read(1, 3), vec(32), write())
}

// Arguments writes its arguments, argv[0] first, each ended by a NUL.
func Arguments() []byte {
	return Module(1, call(argsSizes, c(scratch), c(scratch+4)), opDrop, call(argsGet, c(512), c(buffer)), opDrop,
		c(vecAt), c(buffer), opStore, 2, 0, c(vecLen), c(scratch+4), load(), opStore, 2, 0, write())
}

// Environment writes how many variables there are and how many bytes they
// take, as four bytes each.
func Environment() []byte {
	return Module(1, call(environSizes, c(buffer), c(buffer+4)), opDrop, vec(8), write())
}

// Resolutions writes the resolutions of the wall clock and of the monotonic
// clock in nanoseconds, as eight bytes each.
func Resolutions() []byte {
	return Module(1, call(clockRes, c(0), c(buffer)), opDrop, call(clockRes, c(1), c(buffer+8)), opDrop, vec(16), write())
}

// BadFile writes, as four bytes, what it was told when it wrote to a file that is
// not open.
func BadFile() []byte {
	return Module(1, vec(1), c(buffer), call(fdWrite, c(7), c(vecAt), c(1), c(moved)), opStore, 2, 0, vec(4), write())
}

// Floats writes eight bytes each: 0.1+0.2, √2 and 1/3, and as whole numbers
// what 1e300 and 0/0 are when they are squeezed into 64 bits.
func Floats() []byte {
	f := func(v float64) []byte {
		return binary.LittleEndian.AppendUint64([]byte{0x44}, math.Float64bits(v))
	}
	const add, div, sqrt, truncate = 0xa0, 0xa3, 0x9f, 0xfc
	store := func(i int, op byte, value ...any) []byte { return cat(c(buffer+8*i), cat(value...), op, 3, 0) }
	const float, whole = 0x39, 0x37
	return Module(1,
		store(0, float, f(0.1), f(0.2), add), store(1, float, f(2), sqrt), store(2, float, f(1), f(3), div),
		store(3, whole, f(1e300), truncate, 6), store(4, whole, f(0), f(0), div, truncate, 6),
		vec(40), write())
}

// Import imports one function of another module, and does nothing with it.
func Import(module, name string) []byte {
	return assemble(1, module, []function{{name: name}}, []byte{opEnd})
}

// Module assembles a command with so many pages of memory whose _start has the
// given code: bytes, ints and byte slices.
func Module(pages int, code ...any) []byte {
	return assemble(pages, wasi, imported, append(cat(code...), opEnd))
}

const wasi = "wasi_snapshot_preview1"

func assemble(pages int, module string, from []function, code []byte) []byte {
	types, imps := [][]byte{{0x60, 0, 0}}, [][]byte(nil)
	for i, f := range from {
		types = append(types, cat(0x60, vector(f.params), vector(f.results)))
		imps = append(imps, cat(text(module), text(f.name), 0, i+1))
	}
	out := []byte("\x00asm\x01\x00\x00\x00")
	for _, s := range []struct {
		id   byte
		body []byte
	}{
		{1, vectors(types)},
		{2, vectors(imps)},
		{3, []byte{1, 0}},
		{5, cat(1, 0, uleb(pages))},
		{7, vectors([][]byte{cat(text("memory"), 2, 0), cat(text("_start"), 0, len(from))})},
		{10, vectors([][]byte{vector(cat(locals, code))})},
	} {
		out = append(append(out, s.id), vector(s.body)...)
	}
	return out
}

// locals is what every _start has: an i32 and an i64.
var locals = []byte{2, 1, i32, 1, i64}

func loop(body ...any) []byte {
	return cat(opBlock, empty, opLoop, empty, cat(body...), opBr, 0, opEnd, opEnd)
}

func read() []byte {
	return cat(vec(bufSize), call(fdRead, c(0), c(vecAt), c(1), c(moved)), opDrop)
}

// write writes what the vector points at to stdout.
func write() []byte {
	return cat(call(fdWrite, c(1), c(vecAt), c(1), c(moved)), opDrop)
}

// vec makes the vector point at the start of the buffer.
func vec(n int) []byte { return vecTo(buffer, n) }

func vecTo(at, n int) []byte {
	return cat(c(vecAt), c(at), opStore, 2, 0, c(vecLen), c(n), opStore, 2, 0)
}

// put writes a text to the start of the buffer.
func put(s string) []byte {
	var out []byte
	for i := range len(s) {
		out = cat(out, c(buffer+i), c(int(s[i])), 0x3a, 0, 0) // i32.store8
	}
	return out
}

func load() []byte                { return []byte{opLoad, 2, 0} }
func c(v int) []byte              { return append([]byte{opConst}, sleb(int64(v))...) }
func text(s string) []byte        { return vector([]byte(s)) }
func vector(b []byte) []byte      { return append(uleb(len(b)), b...) }
func uleb(v int) []byte           { return binary.AppendUvarint(nil, uint64(v)) }
func call(f int, a ...any) []byte { return append(cat(a...), opCall, byte(f)) }

func vectors(items [][]byte) []byte {
	return append(uleb(len(items)), slices.Concat(items...)...)
}

func sleb(v int64) (out []byte) {
	for {
		b := byte(v & 0x7f)
		v >>= 7
		if v == 0 && b&0x40 == 0 || v == -1 && b&0x40 != 0 {
			return append(out, b)
		}
		out = append(out, b|0x80)
	}
}

func cat(parts ...any) (out []byte) {
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			out = append(out, byte(p))
		case byte:
			out = append(out, p)
		case []byte:
			out = append(out, p...)
		default:
			panic("wasmtest: code is bytes, ints and byte slices")
		}
	}
	return out
}
