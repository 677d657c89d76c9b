package random

import (
	"math/rand/v2"
	"slices"
)

// start calls all callers, and writes what came of it.
func (m *module) start() []byte {
	return vector(slices.Concat(
		[]byte{1, 1, byte(i32), opLoop, noType},
		[]byte{opGet, 0}, integer(MinFunctions), []byte{0x6a, opCallIndirect, 0, mainTable},
		[]byte{opGet, 0}, integer(1), []byte{0x6a, opTee, 0}, integer(m.count), []byte{0x49, opBrIf, 0, opEnd}, // i32.lt_u
		integer(0), integer(outputs), []byte{0x36, 2, 0}, // i32.store
		integer(4), integer(Result*m.count), []byte{0x36, 2, 0},
		integer(1), integer(0), integer(1), integer(8), []byte{opCall, 0, opDrop, opEnd},
	))
}

// hash is FNV-1a over the function's memory, eight bytes a step, with a turn.
func hash() []byte {
	return vector(slices.Concat(
		[]byte{2, 1, byte(i64), 1, byte(i32), 0x42}, signed(-0x340d631b7bdddcdb), []byte{opSet, 0},
		[]byte{opLoop, noType, opGet, 0, opGet, 1, 0x29, 3}, unsigned(working), // i64.load
		[]byte{0x85, 0x42}, signed(0x100000001b3), []byte{0x7e, 0x42, 29, 0x89, opSet, 0}, // xor, mul, rotl
		[]byte{opGet, 1}, integer(8), []byte{0x6a, opTee, 1}, integer(hashed), []byte{0x49, opBrIf, 0, opEnd},
		[]byte{opGet, 0, opEnd},
	))
}

// reset gives the next function the same memory and globals as all others.
func reset(r *rand.Rand, kind Kind) []byte {
	body := slices.Concat([]byte{0}, integer(working), integer(pristine), integer(hashed), []byte{0xfc, 10, 0, 0}) // memory.copy
	for i, t := range slices.Concat(allTypes, allTypes) {
		body = slices.Concat(body, constant(r, kind, t), []byte{opGlobalSet, byte(2*(i%len(allTypes)) + i/len(allTypes))})
	}
	return vector(append(body, opEnd))
}

// caller calls one function with arguments from memory, and keeps its results
// and the hash of what it left.
func (m *module) caller(r *rand.Rand, index int) []byte {
	s := m.signatureOf(index)
	body := append(declare(s.results), opCall, resetIndex)
	for _, t := range s.params {
		body = slices.Concat(body, integer(m.argument(r, t)), loads[t][0].code, []byte{0, 0})
	}
	body = slices.Concat(body, []byte{opCall}, unsigned(firstRandom+index))
	for i := range slices.Backward(s.results) {
		body = append(body, opSet, byte(i))
	}
	for i, t := range s.results {
		body = slices.Concat(body, integer(returned+16*i), []byte{opGet, byte(i)}, stores[t][0].code, []byte{0, 0})
	}
	return vector(slices.Concat(body, integer(outputs+Result*index), []byte{opCall, hashIndex, 0x37, 3, 0, opEnd})) // i64.store
}

// argument is an address to load an argument from.
func (m *module) argument(r *rand.Rand, t valueType) int {
	if m.kind == Calm && (t == f32 || t == f64) {
		return calmAddress(r, t)
	}
	return pristine + 8*r.IntN(hashed/8-2)
}
