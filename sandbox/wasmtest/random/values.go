package random

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
)

// The values that engines and processors are known to treat differently, and
// some beside them.
var (
	doubles = []uint64{
		0x7ff8000000000000, 0xfff8000000000000, // the NaN that ARM makes, and the one that x86 makes
		0x7ff8000000000001, 0xfffc000000abcdef, 0x7fffffffffffffff, 0xffffffffffffffff, // quiet, with a payload
		0x7ff0000000000001, 0xfff0000000000001, 0x7ff4000000000000, 0xfff7ffffffffffff, // signalling
		0x7ff0000000000000, 0xfff0000000000000, 0, 0x8000000000000000, // infinite, zero
		1, 0x800fffffffffffff, 0x7fefffffffffffff, 0x0010000000000000, // too small to be normal, largest, smallest
		math.Float64bits(1), math.Float64bits(-1), math.Float64bits(0.5), math.Float64bits(-2.5), math.Float64bits(1 << 31), math.Float64bits(-(1 << 63)), math.Float64bits(1e300),
	}
	singles = []uint32{
		0x7fc00000, 0xffc00000, 0x7fc00001, 0xffe0abcd, 0x7fffffff, 0xffffffff,
		0x7f800001, 0xff800001, 0x7fa00000, 0xffbfffff,
		0x7f800000, 0xff800000, 0, 0x80000000, 1, 0x807fffff, 0x7f7fffff, 0x00800000,
		math.Float32bits(1), math.Float32bits(-1), math.Float32bits(0.5), math.Float32bits(-2.5), math.Float32bits(1 << 31), math.Float32bits(1e30),
	}
)

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// double gives the bits of a float of 64 bits, without NaNs for a calm function.
func double(r *rand.Rand, k Kind) uint64 {
	for {
		v := pick(r, doubles)
		if r.IntN(4) == 0 {
			v = r.Uint64()
		}
		if k != Calm || !math.IsNaN(math.Float64frombits(v)) {
			return v
		}
	}
}

func single(r *rand.Rand, k Kind) uint32 {
	for {
		v := pick(r, singles)
		if r.IntN(4) == 0 {
			v = r.Uint32()
		}
		if f := math.Float32frombits(v); k != Calm || f == f {
			return v
		}
	}
}

// whole gives a number that is small, at an edge, or has the bits of a float.
func whole(r *rand.Rand) int64 {
	switch r.IntN(4) {
	case 0:
		return int64(r.IntN(66)) - 2
	case 1:
		return pick(r, []int64{math.MaxInt32, math.MinInt32, math.MaxInt64, math.MinInt64})
	case 2:
		return int64(pick(r, doubles))
	default:
		return int64(r.Uint64())
	}
}

// constant is an instruction that puts a value on the stack.
func constant(r *rand.Rand, k Kind, t valueType) []byte {
	switch t {
	case i32:
		return append([]byte{0x41}, signed(int64(int32(whole(r))))...)
	case i64:
		return append([]byte{0x42}, signed(whole(r))...)
	case f32:
		return binary.LittleEndian.AppendUint32([]byte{0x43}, single(r, k))
	case f64:
		return binary.LittleEndian.AppendUint64([]byte{0x44}, double(r, k))
	default:
		return append(vectorCode(12), vectorBits(r, k)...)
	}
}

func vectorBits(r *rand.Rand, k Kind) []byte {
	return binary.LittleEndian.AppendUint64(eight(r, k), binary.LittleEndian.Uint64(eight(r, k)))
}

// eight is one float of 64 bits or two of 32.
func eight(r *rand.Rand, k Kind) []byte {
	if r.IntN(2) == 0 {
		return binary.LittleEndian.AppendUint64(nil, double(r, k))
	}
	return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, single(r, k)), single(r, k))
}

func integer(v int) []byte { return append([]byte{0x41}, signed(int64(v))...) }
