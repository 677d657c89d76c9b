// Package random makes modules of many random functions, to compare engines
// with one another: floats of both sizes, vectors, memory, tables and control
// flow, fed with the values that processors are known to treat differently.
//
// A module is valid, ends after a bounded number of instructions, and never
// traps. It is a WASI command: it calls each of its functions with the same
// memory and globals, and writes a hash of what each left, eight bytes a
// function, so that a difference names the function. The same seed makes the same module.
package random

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
)

// A Kind says what functions do.
type Kind int

const (
	// Mixed functions do everything.
	Mixed Kind = iota
	// Moves only load floats and vectors, move them about and store them: none
	// of their bits may change, whatever is done about NaNs elsewhere.
	Moves
	// Calm functions compute with floats that are never NaNs: whatever is done
	// about NaNs must not change what they give.
	Calm
	kinds
)

// Result is how many bytes a module writes for each function.
const Result = 8

// A module has at least MinFunctions, as many as its table wants, and at most
// MaxFunctions, whose results its memory has room for.
const (
	MinFunctions = leaves * signatures
	MaxFunctions = 7000
)

// Where things are in memory.
const (
	pristine    = 0x100 // what the function's memory starts as
	working     = 0x400 // the function's memory
	workingSize = 256   // bytes that addresses are in; an access may reach past them
	returned    = working + workingSize + 32
	hashed      = workingSize + 32 + 4*16 // bytes of it all
	outputs     = 0x1000
)

const (
	mainTable   = 0
	spareTable  = 1
	leaves      = 8 // functions of each signature that call nothing, and are in the table
	signatures  = 10
	startIndex  = 1
	hashIndex   = 2
	resetIndex  = 3
	firstRandom = 4
)

// A module is one that is being written.
type module struct {
	kind               Kind
	seed               uint64
	count              int
	signatures, blocks []signature
	costs              []int
}

// Module makes a module of so many functions.
func Module(kind Kind, seed uint64, functions int) []byte {
	r := rand.New(rand.NewPCG(seed, ^uint64(0))) //nolint:gosec // it must be had again
	m := &module{kind: kind, seed: seed, count: functions}
	passed := types("ilfdv")
	if kind == Moves {
		passed = types("ilv") // floats are made canonical where they are passed
	}
	m.signatures, m.blocks = someSignatures(r, passed), someSignatures(r, types("ilfdvfd"))
	return m.assemble(r)
}

func someSignatures(r *rand.Rand, from []valueType) (list []signature) {
	some := func() (list []valueType) {
		for range r.IntN(4) {
			list = append(list, pick(r, from))
		}
		return list
	}
	for range signatures {
		list = append(list, signature{some(), some()})
	}
	return list
}

func (m *module) signatureOf(index int) signature { return m.signatures[index%signatures] }

// Types: nothing, fd_write, the hash, then those of functions and of blocks.
func (m *module) functionType(n int) int { return 3 + n }
func (m *module) blockType(n int) int    { return 3 + signatures + n }

// costOfLeaves is what a call through the table costs at most.
func (m *module) costOfLeaves(n int) (most int) {
	for i := range leaves {
		most = max(most, m.costs[n+i*signatures])
	}
	return most
}

func (m *module) assemble(r *rand.Rand) []byte {
	bodies := [][]byte{m.start(), hash(), reset(r, m.kind)}
	for i := range m.count {
		body, cost := m.write(i)
		m.costs = append(m.costs, cost)
		bodies = append(bodies, body)
	}
	for i := range m.count {
		bodies = append(bodies, m.caller(r, i))
	}
	return slices.Concat(
		[]byte("\x00asm\x01\x00\x00\x00"),
		section(1, m.types()),
		section(2, [][]byte{slices.Concat(text("wasi_snapshot_preview1"), text("fd_write"), []byte{0, 1})}),
		section(3, m.declarations()),
		section(4, [][]byte{slices.Concat([]byte{0x70, 0}, unsigned(MinFunctions+m.count)), {0x70, 1, 2, 100}}),
		section(5, [][]byte{{1, 1, 4}}), // pages: at least, at most
		section(6, globals()),
		section(7, [][]byte{append(text("memory"), 2, 0), append(text("_start"), 0, startIndex)}),
		section(9, m.elements()),
		section(10, bodies),
		section(11, [][]byte{slices.Concat([]byte{0}, integer(pristine), []byte{opEnd}, vector(untouched(r, m.kind)))}),
	)
}

func (m *module) types() [][]byte {
	all := []signature{{}, {types("iiii"), types("i")}, {nil, types("l")}}
	var out [][]byte
	for _, s := range slices.Concat(all, m.signatures, m.blocks) {
		out = append(out, s.encode())
	}
	return out
}

// declarations gives the type of each function.
func (m *module) declarations() [][]byte {
	out := [][]byte{{0}, {2}, {0}}
	for i := range m.count {
		out = append(out, unsigned(m.functionType(i%signatures)))
	}
	for range m.count {
		out = append(out, []byte{0})
	}
	return out
}

// globals are two of each type.
func globals() (list [][]byte) {
	for _, t := range allTypes {
		zero := map[valueType][]byte{
			i32: {0x41, 0}, i64: {0x42, 0}, f32: {0x43, 0, 0, 0, 0}, f64: {0x44, 0, 0, 0, 0, 0, 0, 0, 0}, v128: append(vectorCode(12), make([]byte, 16)...),
		}[t]
		one := slices.Concat([]byte{byte(t), 1}, zero, []byte{opEnd})
		list = append(list, one, one)
	}
	return list
}

// elements fill the table: the leaves by their signature, then the callers. A
// last segment declares the function that ref.func names.
func (m *module) elements() [][]byte {
	list := []byte{}
	for s := range signatures {
		for i := range leaves {
			list = append(list, unsigned(firstRandom+s+i*signatures)...)
		}
	}
	for i := range m.count {
		list = append(list, unsigned(firstRandom+m.count+i)...)
	}
	return [][]byte{
		slices.Concat([]byte{0}, integer(0), []byte{opEnd}, unsigned(MinFunctions+m.count), list),
		slices.Concat([]byte{3, 0, 1}, unsigned(firstRandom)),
	}
}

// untouched is what the memory of each function starts as.
func untouched(r *rand.Rand, kind Kind) (out []byte) {
	for kind == Calm && len(out) < calmFloats {
		out = binary.LittleEndian.AppendUint64(out, double(r, kind))
	}
	for kind == Calm && len(out) < 2*calmFloats {
		out = binary.LittleEndian.AppendUint32(out, single(r, kind))
	}
	for len(out) < hashed {
		out = append(out, eight(r, kind)...)
	}
	return out
}
