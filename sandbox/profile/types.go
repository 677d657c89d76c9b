package profile

import "slices"

// A valType is a value type. Those of typed references have the heap type in
// the upper bits.
type valType int64

const (
	unknown   valType = 0 // of a value in code that is never reached
	i32       valType = 0x7f
	i64       valType = 0x7e
	f32       valType = 0x7d
	f64       valType = 0x7c
	v128      valType = 0x7b
	funcref   valType = 0x70
	externref valType = 0x6f

	refNull = 0x63 // followed by a heap type
	refTo   = 0x64
)

// append writes the type in the binary format.
func (t valType) append(dst []byte) []byte {
	dst = append(dst, byte(t))
	if k := byte(t); k == refNull || k == refTo {
		dst = appendSigned(dst, int64(t>>8))
	}
	return dst
}

// valType reads a value type. ok is false for one that no program may use.
func (r *reader) valType() (t valType, ok bool) {
	switch b := r.byte(); b {
	case byte(i32), byte(i64), byte(f32), byte(f64), byte(v128), byte(funcref), byte(externref):
		return valType(b), true
	case refNull, refTo:
		heap := r.signed()
		return valType(heap)<<8 | valType(b), heap >= 0 || heap == int64(funcref)-0x80 || heap == int64(externref)-0x80
	default:
		return unknown, false
	}
}

// A funcType is the type of a function or of a block.
type funcType struct{ params, results []valType }

func (t funcType) equal(o funcType) bool {
	return slices.Equal(t.params, o.params) && slices.Equal(t.results, o.results)
}

func (t funcType) append(dst []byte) []byte {
	dst = append(dst, typeFunction)
	for _, list := range [][]valType{t.params, t.results} {
		dst = appendU32(dst, len(list))
		for _, v := range list {
			dst = v.append(dst)
		}
	}
	return dst
}
