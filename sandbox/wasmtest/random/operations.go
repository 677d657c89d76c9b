package random

import (
	"math/bits"
	"slices"
)

// An operation is an instruction that takes its operands from the stack and
// leaves one result there.
type operation struct {
	code   []byte
	in     []valueType
	lanes  int // if not 0, the number of a lane below this follows
	random int // so many bytes follow, each the number of a lane below 32
}

const (
	prefixSaturating = 0xfc
	prefixVector     = 0xfd
)

// Which kinds of functions have an operation: see Kind.
const (
	always    = 1<<Mixed | 1<<Moves | 1<<Calm
	computing = 1<<Mixed | 1<<Calm // makes no NaN of what is none
	moving    = 1<<Mixed | 1<<Moves
	wild      = 1 << Mixed // may make a NaN
)

// A row is a range of operations of the same type; how often it is written here
// weighs it.
type row struct {
	in, out     string
	prefix      byte
	first, last int // opcodes
	kinds       uint
	lanes       int
}

var rows = slices.Concat(wholeNumbers, floats, floats, vectorsOfWholes, vectorsOfFloats, vectorsOfFloats, vectorsOfFloats, crossings)

var wholeNumbers = []row{
	{"i", "i", 0, 0x45, 0x45, always, 0},
	{"ii", "i", 0, 0x46, 0x4f, always, 0}, // comparisons
	{"l", "i", 0, 0x50, 0x50, always, 0},
	{"ll", "i", 0, 0x51, 0x5a, always, 0},
	{"i", "i", 0, 0x67, 0x69, always, 0},
	{"ii", "i", 0, 0x6a, 0x6c, always, 0},
	{"ii", "i", 0, 0x71, 0x78, always, 0},
	{"l", "l", 0, 0x79, 0x7b, always, 0},
	{"ll", "l", 0, 0x7c, 0x7e, always, 0},
	{"ll", "l", 0, 0x83, 0x8a, always, 0},
	{"l", "i", 0, 0xa7, 0xa7, always, 0},
	{"i", "l", 0, 0xac, 0xad, always, 0}, // wrap, extend
	{"i", "i", 0, 0xc0, 0xc1, always, 0},
	{"l", "l", 0, 0xc2, 0xc4, always, 0},
}

var floats = []row{
	{"ff", "i", 0, 0x5b, 0x60, computing, 0},
	{"dd", "i", 0, 0x61, 0x66, computing, 0}, // comparisons
	{"f", "f", 0, 0x8b, 0x90, computing, 0},
	{"f", "f", 0, 0x91, 0x91, wild, 0}, // abs to nearest, sqrt
	{"ff", "f", 0, 0x92, 0x95, wild, 0},
	{"ff", "f", 0, 0x96, 0x98, computing, 0}, // add to div, min to copysign
	{"d", "d", 0, 0x99, 0x9e, computing, 0},
	{"d", "d", 0, 0x9f, 0x9f, wild, 0},
	{"dd", "d", 0, 0xa0, 0xa3, wild, 0},
	{"dd", "d", 0, 0xa4, 0xa6, computing, 0},
	{"d", "f", 0, 0xb6, 0xb6, computing, 0},
	{"f", "d", 0, 0xbb, 0xbb, computing, 0}, // demote, promote
}

// crossings are between whole numbers, floats and lanes of vectors.
var crossings = []row{
	{"i", "f", 0, 0xb2, 0xb3, computing, 0},
	{"l", "f", 0, 0xb4, 0xb5, computing, 0}, // convert
	{"i", "d", 0, 0xb7, 0xb8, computing, 0},
	{"l", "d", 0, 0xb9, 0xba, computing, 0},
	{"f", "i", 0, 0xbc, 0xbc, always, 0},
	{"d", "l", 0, 0xbd, 0xbd, always, 0}, // reinterpret
	{"f", "i", 0, 0xbc, 0xbc, always, 0},
	{"d", "l", 0, 0xbd, 0xbd, always, 0},
	{"i", "f", 0, 0xbe, 0xbe, moving, 0},
	{"l", "d", 0, 0xbf, 0xbf, moving, 0},
	{"f", "i", prefixSaturating, 0, 1, computing, 0},
	{"d", "i", prefixSaturating, 2, 3, computing, 0},
	{"f", "l", prefixSaturating, 4, 5, computing, 0},
	{"d", "l", prefixSaturating, 6, 7, computing, 0},
	{"i", "v", prefixVector, 15, 17, always, 0},
	{"l", "v", prefixVector, 18, 18, always, 0}, // splat
	{"f", "v", prefixVector, 19, 19, always, 0},
	{"d", "v", prefixVector, 20, 20, always, 0},
	{"f", "v", prefixVector, 19, 19, always, 0},
	{"d", "v", prefixVector, 20, 20, always, 0},
	{"v", "i", prefixVector, 21, 22, always, 16},
	{"vi", "v", prefixVector, 23, 23, always, 16}, // lanes
	{"v", "i", prefixVector, 24, 25, always, 8},
	{"vi", "v", prefixVector, 26, 26, always, 8},
	{"v", "i", prefixVector, 27, 27, always, 4},
	{"vi", "v", prefixVector, 28, 28, always, 4},
	{"v", "l", prefixVector, 29, 29, always, 2},
	{"vl", "v", prefixVector, 30, 30, always, 2},
	{"v", "f", prefixVector, 31, 31, moving, 4},
	{"vf", "v", prefixVector, 32, 32, always, 4},
	{"v", "d", prefixVector, 33, 33, moving, 2},
	{"vd", "v", prefixVector, 34, 34, always, 2},
	{"v", "f", prefixVector, 31, 31, moving, 4},
	{"vf", "v", prefixVector, 32, 32, always, 4},
	{"v", "d", prefixVector, 33, 33, moving, 2},
	{"vd", "v", prefixVector, 34, 34, always, 2},
}

var vectorsOfWholes = []row{
	{"vv", "v", prefixVector, 14, 14, always, 0},
	{"vv", "v", prefixVector, 35, 64, always, 0}, // swizzle, comparisons
	{"v", "v", prefixVector, 77, 77, always, 0},
	{"vv", "v", prefixVector, 78, 81, always, 0}, // bits
	{"vvv", "v", prefixVector, 82, 82, always, 0},
	{"v", "i", prefixVector, 83, 83, always, 0},
	{"v", "v", prefixVector, 96, 98, always, 0},
	{"v", "i", prefixVector, 99, 100, always, 0}, // 8 bits
	{"vv", "v", prefixVector, 101, 102, always, 0},
	{"vi", "v", prefixVector, 107, 109, always, 0},
	{"vv", "v", prefixVector, 110, 115, always, 0},
	{"vv", "v", prefixVector, 118, 121, always, 0},
	{"vv", "v", prefixVector, 123, 123, always, 0},
	{"v", "v", prefixVector, 124, 129, always, 0},
	{"vv", "v", prefixVector, 130, 130, always, 0}, // 16 bits
	{"v", "i", prefixVector, 131, 132, always, 0},
	{"vv", "v", prefixVector, 133, 134, always, 0},
	{"v", "v", prefixVector, 135, 138, always, 0},
	{"vi", "v", prefixVector, 139, 141, always, 0},
	{"vv", "v", prefixVector, 142, 147, always, 0},
	{"vv", "v", prefixVector, 149, 153, always, 0},
	{"vv", "v", prefixVector, 155, 159, always, 0},
	{"v", "v", prefixVector, 160, 161, always, 0},
	{"v", "i", prefixVector, 163, 164, always, 0}, // 32 bits
	{"v", "v", prefixVector, 167, 170, always, 0},
	{"vi", "v", prefixVector, 171, 173, always, 0},
	{"vv", "v", prefixVector, 174, 174, always, 0},
	{"vv", "v", prefixVector, 177, 177, always, 0},
	{"vv", "v", prefixVector, 181, 186, always, 0},
	{"vv", "v", prefixVector, 188, 191, always, 0},
	{"v", "v", prefixVector, 192, 193, always, 0},
	{"v", "i", prefixVector, 195, 196, always, 0}, // 64 bits
	{"v", "v", prefixVector, 199, 202, always, 0},
	{"vi", "v", prefixVector, 203, 205, always, 0},
	{"vv", "v", prefixVector, 206, 206, always, 0},
	{"vv", "v", prefixVector, 209, 209, always, 0},
	{"vv", "v", prefixVector, 213, 223, always, 0},
}

var vectorsOfFloats = []row{
	{"vv", "v", prefixVector, 65, 76, computing, 0}, // comparisons
	{"v", "v", prefixVector, 94, 95, wild, 0},
	{"v", "v", prefixVector, 103, 106, wild, 0},
	{"v", "v", prefixVector, 116, 117, wild, 0},
	{"v", "v", prefixVector, 122, 122, wild, 0},
	{"v", "v", prefixVector, 148, 148, wild, 0},
	{"v", "v", prefixVector, 224, 225, wild, 0},
	{"v", "v", prefixVector, 227, 227, wild, 0},
	{"vv", "v", prefixVector, 228, 235, wild, 0},
	{"v", "v", prefixVector, 236, 237, wild, 0},
	{"v", "v", prefixVector, 239, 239, wild, 0},
	{"vv", "v", prefixVector, 240, 247, wild, 0},
	{"v", "v", prefixVector, 248, 249, computing, 0},
	{"v", "v", prefixVector, 252, 253, computing, 0}, // to whole numbers
	{"v", "v", prefixVector, 250, 251, computing, 0},
	{"v", "v", prefixVector, 254, 255, computing, 0}, // from them
}

// shuffle has the lanes in its code.
var shuffle = operation{code: vectorCode(13), in: types("vv"), random: 16}

// operations lists what makes a value of a type, for each kind of function.
var operations = func() (all [kinds]map[valueType][]operation) {
	for k := range all {
		all[k] = map[valueType][]operation{v128: {shuffle, shuffle}}
	}
	for _, r := range rows {
		for set := r.kinds; set != 0; set &= set - 1 {
			k, out := bits.TrailingZeros(set), types(r.out)[0]
			all[k][out] = append(all[k][out], r.operations()...)
		}
	}
	return all
}()

func (r row) operations() (list []operation) {
	for code := r.first; code <= r.last; code++ {
		bytes := []byte{byte(code)}
		if r.prefix != 0 {
			bytes = append([]byte{r.prefix}, unsigned(code)...)
		}
		list = append(list, operation{code: bytes, in: types(r.in), lanes: r.lanes})
	}
	return list
}

func vectorCode(n int) []byte { return append([]byte{prefixVector}, unsigned(n)...) }

// An access is an instruction that reads a value from memory, or writes one.
type access struct {
	code []byte
	lane int // if not 0, it is about one lane of so many, and comes after a vector
}

var loads = map[valueType][]access{
	i32: plain(0x28, 0x2c, 0x2d, 0x2e, 0x2f), i64: plain(0x29, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35), f32: plain(0x2a), f64: plain(0x2b),
	v128: append(vectorAccess(0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 92, 93), laneAccess(84)...),
}

var stores = map[valueType][]access{
	i32: plain(0x36, 0x3a, 0x3b), i64: plain(0x37, 0x3c, 0x3d, 0x3e), f32: plain(0x38), f64: plain(0x39),
	v128: append(vectorAccess(11, 11, 11), laneAccess(88)...),
}

func plain(codes ...byte) (list []access) {
	for _, c := range codes {
		list = append(list, access{code: []byte{c}})
	}
	return list
}

func vectorAccess(codes ...int) (list []access) {
	for _, c := range codes {
		list = append(list, access{code: vectorCode(c)})
	}
	return list
}

// laneAccess are four instructions for lanes of 8, 16, 32 and 64 bits.
func laneAccess(first int) (list []access) {
	for i, lanes := range []int{16, 8, 4, 2} {
		list = append(list, access{code: vectorCode(first + i), lane: lanes})
	}
	return list
}
