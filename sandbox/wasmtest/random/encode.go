package random

import (
	"encoding/binary"
	"slices"
)

// A valueType is a type of values, as the binary format writes it.
type valueType byte

const (
	i32  valueType = 0x7f
	i64  valueType = 0x7e
	f32  valueType = 0x7d
	f64  valueType = 0x7c
	v128 valueType = 0x7b
)

var allTypes = []valueType{i32, i64, f32, f64, v128}

// types reads a list of types: i and l are the whole numbers of 32 and 64 bits,
// f and d the floats, v is a vector.
func types(letters string) (list []valueType) {
	for _, letter := range letters {
		switch letter {
		case 'i':
			list = append(list, i32)
		case 'l':
			list = append(list, i64)
		case 'f':
			list = append(list, f32)
		case 'd':
			list = append(list, f64)
		case 'v':
			list = append(list, v128)
		}
	}
	return list
}

// A signature is the type of a function or of a block.
type signature struct{ params, results []valueType }

func (s signature) encode() []byte {
	return slices.Concat([]byte{0x60}, typeList(s.params), typeList(s.results))
}

func typeList(list []valueType) []byte {
	out := unsigned(len(list))
	for _, t := range list {
		out = append(out, byte(t))
	}
	return out
}

func unsigned(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }

// signed is LEB128 with a sign: WebAssembly Core Specification 2.0, section 5.2.2.
func signed(v int64) (out []byte) {
	for {
		b := byte(v & 0x7f)
		v >>= 7
		if v == 0 && b&0x40 == 0 || v == -1 && b&0x40 != 0 {
			return append(out, b)
		}
		out = append(out, b|0x80)
	}
}

// vector is a number of bytes and the bytes.
func vector(b []byte) []byte { return append(unsigned(len(b)), b...) }

func text(s string) []byte { return vector([]byte(s)) }

// section is a section that lists items.
func section(id byte, items [][]byte) []byte {
	return append([]byte{id}, vector(append(unsigned(len(items)), slices.Concat(items...)...))...)
}
