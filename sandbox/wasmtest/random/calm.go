package random

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
)

// large bounds the operands of a calm function's arithmetic, so that no result
// is infinite.
const large = 1e6

// calm writes arithmetic that has no NaN for a result, since its operands are
// bounded; it says whether there is any for this type.
func (f *function) calm(t valueType, depth int) bool {
	switch t {
	case f32, f64:
		f.calmScalar(t, depth)
	case v128:
		f.calmVector(depth)
	default:
		return false
	}
	return true
}

func (f *function) calmScalar(t valueType, depth int) {
	f.bounded(t, depth)
	if f.IntN(5) == 0 {
		f.emit(code(t, abs), code(t, sqrt))
		return
	}
	op := f.IntN(4) // add, sub, mul, div
	f.bounded(t, depth)
	if op == 3 {
		f.apart(t)
	}
	f.emit(code(t, add) + byte(op))
}

// calmVector takes two vectors of floats through one operation.
func (f *function) calmVector(depth int) {
	t, splat, replace, first := f32, 19, 32, 228
	if f.IntN(2) == 0 {
		t, splat, replace, first = f64, 20, 34, 240
	}
	op := f.IntN(8) // add, sub, mul, div, min, max, pmin, pmax
	for operand := range 2 {
		f.bounded(t, depth)
		if op == 3 && operand == 1 {
			f.apart(t)
		}
		f.emit(vectorCode(splat)...)
		f.bounded(t, depth)
		if op == 3 && operand == 1 {
			f.apart(t)
		}
		f.emit(append(vectorCode(replace), byte(f.IntN(2)))...)
	}
	f.emit(vectorCode(first + op)...)
}

// bounded writes a value that is not large.
func (f *function) bounded(t valueType, depth int) {
	f.value(t, depth)
	f.emit(number(t, -large)...)
	f.emit(code(t, maximum))
	f.emit(number(t, large)...)
	f.emit(code(t, minimum))
}

// apart makes the value on the stack one that may be divided by.
func (f *function) apart(t valueType) {
	f.emit(code(t, abs))
	f.emit(number(t, 1)...)
	f.emit(code(t, maximum))
}

// The opcodes of floats of 32 bits; those of 64 bits come 14 later.
const (
	abs     = 0x8b
	sqrt    = 0x91
	add     = 0x92
	minimum = 0x96
	maximum = 0x97
)

func code(t valueType, single byte) byte {
	if t == f64 {
		return single + 14
	}
	return single
}

func number(t valueType, v float64) []byte {
	if t == f64 {
		return binary.LittleEndian.AppendUint64([]byte{0x44}, math.Float64bits(v))
	}
	return binary.LittleEndian.AppendUint32([]byte{0x43}, math.Float32bits(float32(v)))
}

// A calm module's untouched memory begins with floats of 64 bits, and then has
// floats of 32 bits.
const calmFloats = 128 // bytes of each

func calmAddress(r *rand.Rand, t valueType) int {
	if t == f64 {
		return pristine + 8*r.IntN(calmFloats/8)
	}
	return pristine + calmFloats + 4*r.IntN(calmFloats/4)
}
