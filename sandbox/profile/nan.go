package profile

import (
	"bytes"
	"fmt"
)

// WebAssembly leaves the bits of a NaN open that arithmetic makes: x86 sets its
// sign, ARM does not, and one engine's compilers differ among themselves. The
// standard asks for equal numbers, not for equal bits (Core Specification 2.0,
// section 4.3.3). A program sees the bits where it stores a float, reinterprets
// it as an integer, copies its sign or puts it into a vector. So just before
// that, a value that may be fresh from arithmetic is made canonical.
//
// What is only moved keeps its bits, since some programs hide integers in NaNs.
// A walk over each function follows which values and locals may be fresh;
// where branches meet, a value is fresh if it is on one of them. Calls, returns
// and globals are places where fresh values are made canonical, so whatever
// comes from there is clean. Vectors are made canonical right after arithmetic,
// so a vector is always clean.

// canonicalNaNs makes the bits of NaNs canonical wherever the program can see
// them.
func canonicalNaNs(m *module, r *Report) error {
	budget := walkBudget
	for _, i := range m.arithmetic {
		w := newWalker(m, i, &budget)
		if err := w.rewrite(); err != nil {
			return fmt.Errorf("function %d: %w", m.imported+i, err)
		}
		r.Canonical += w.places
	}
	return nil
}

// fresh says whether the NaNs that an instruction makes may have any bits.
func fresh(code opcode) bool {
	switch {
	case code == opF32Demote, code == opF64Promote:
		return true
	case code >= opF32Neg+1 && code < opF32Copysign, code >= opF64Neg+1 && code < opF64Copysign:
		return true
	}
	return false
}

// freshVector says the same of the lanes of a vector, and of which type they
// are; unknown if they are never fresh.
func freshVector(code opcode) valType {
	if code>>16 != vectorPrefix {
		return unknown
	}
	switch n := code & 0xffff; {
	case n == 94, n >= 103 && n <= 106, n >= 227 && n <= 233:
		return f32
	case n == 95, n == 116, n == 117, n == 122, n == 148, n >= 239 && n <= 245:
		return f64
	}
	return unknown
}

// shows says whether an instruction shows the bits of its last operand.
func shows(code opcode) bool {
	switch code {
	case opF32Store, opF64Store, opI32Reinterpret, opI64Reinterpret, opF32Copysign, opF64Copysign,
		opF32x4Splat, opF64x2Splat, opF32x4Replace, opF64x2Replace:
		return true
	default:
		return false
	}
}

var (
	nan32 = []byte{0x43, 0x00, 0x00, 0xc0, 0x7f}                         // f32.const nan
	nan64 = []byte{0x44, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xf8, 0x7f} // f64.const nan
)

// canonical is what makes the value that was just copied to a local canonical:
// the value where it equals itself, else the one NaN. A scalar is asked whether
// it is at least itself, which says the same and takes an engine one flag of the
// processor instead of two. For a vector, lanes says of which type its lanes are.
func canonical(of, lanes valType, local uint32) (code []byte) {
	equal, choose := opF32Ge, opSelect
	switch {
	case of == v128 && lanes == f32:
		equal, choose = opF32x4Eq, opV128Bitselect
		code = append(appendOp(code, opV128Const), bytes.Repeat(nan32[1:], 4)...)
	case of == v128:
		equal, choose = opF64x2Eq, opV128Bitselect
		code = append(appendOp(code, opV128Const), bytes.Repeat(nan64[1:], 2)...)
	case of == f32:
		code = append(code, nan32...)
	default:
		equal = opF64Ge
		code = append(code, nan64...)
	}
	for range 2 {
		code = appendLocal(code, opLocalGet, local)
	}
	return appendOp(appendOp(code, equal), choose)
}

func appendLocal(dst []byte, code opcode, local uint32) []byte {
	return appendU32(append(dst, byte(code)), int(local))
}

// clean makes those of the top n values of the stack canonical that may be
// fresh, before the instruction that is being read.
func (w *walker) clean(n int) {
	top := len(w.stack)
	deepest := top
	for i := top - 1; i >= max(0, top-n); i-- {
		if w.stack[i].fresh {
			deepest = i
		}
	}
	if deepest == top || w.err != nil {
		return
	}
	var code []byte
	for i := top - 1; i > deepest; i-- { // what lies above goes aside
		code = appendLocal(code, opLocalSet, w.temp(w.stack[i].of, top-i))
	}
	for i := deepest; i < top; i++ {
		v := &w.stack[i]
		if i > deepest {
			code = appendLocal(code, opLocalGet, w.temp(v.of, top-i))
		}
		if v.fresh {
			local := w.temp(v.of, 0)
			code = append(appendLocal(code, opLocalTee, local), canonical(v.of, unknown, local)...)
			v.fresh = false
			w.places++
		}
	}
	w.insert(w.from, code)
}

// cleanVector makes the vector on the stack canonical, after the instruction
// that was just read, unless that is what follows anyway.
func (w *walker) cleanVector(lanes valType) {
	peek := w.r
	if peek.more() && opcode(peek.byte()) == opLocalTee {
		if local := peek.u32(); !peek.bad && w.typeOfLocal(local) == v128 && bytes.HasPrefix(peek.data[peek.at:], canonical(v128, lanes, local)) {
			return
		}
	}
	local := w.temp(v128, 0)
	w.insert(w.r.at, append(appendLocal(nil, opLocalTee, local), canonical(v128, lanes, local)...))
	w.places++
}

// teeThenClean takes in one piece what clean has written before, by itself: it
// is recognised by what it does, not by a mark.
func (w *walker) teeThenClean(local uint32) {
	v := w.peek()
	if v == nil || !v.fresh {
		return
	}
	if rest := canonical(v.of, unknown, local); bytes.HasPrefix(w.r.data[w.r.at:], rest) {
		w.r.at += len(rest)
		v.fresh = false
	}
}

// insert puts code before a place of the function.
func (w *walker) insert(at int, code []byte) {
	w.out = append(append(w.out, w.r.data[w.copied:at]...), code...)
	w.copied = at
}

// temp gives a local of its own for a type; a place in which several values go
// aside takes several.
func (w *walker) temp(of valType, n int) uint32 {
	key := temporary{of, n}
	local, ok := w.temps[key]
	if !ok {
		local = uint32(len(w.locals) + len(w.added))
		w.temps[key] = local
		w.added = append(w.added, of)
	}
	return local
}

type temporary struct {
	of valType
	n  int
}
