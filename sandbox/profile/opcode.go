package profile

import "fmt"

// An opcode is an instruction; those behind a prefix byte have it in the upper
// bits. Numbers are from the WebAssembly Core Specification 2.0, section 5.4,
// and from the proposals for tail calls and typed function references.
type opcode uint32

const (
	opUnreachable        opcode = 0x00
	opBlock              opcode = 0x02
	opLoop               opcode = 0x03
	opIf                 opcode = 0x04
	opElse               opcode = 0x05
	opEnd                opcode = 0x0b
	opBr                 opcode = 0x0c
	opBrIf               opcode = 0x0d
	opBrTable            opcode = 0x0e
	opReturn             opcode = 0x0f
	opCall               opcode = 0x10
	opCallIndirect       opcode = 0x11
	opReturnCall         opcode = 0x12
	opReturnCallIndirect opcode = 0x13
	opCallRef            opcode = 0x14
	opReturnCallRef      opcode = 0x15
	opDrop               opcode = 0x1a
	opSelect             opcode = 0x1b
	opSelectTyped        opcode = 0x1c
	opLocalGet           opcode = 0x20
	opLocalSet           opcode = 0x21
	opLocalTee           opcode = 0x22
	opGlobalGet          opcode = 0x23
	opGlobalSet          opcode = 0x24
	opTableGet           opcode = 0x25
	opTableSet           opcode = 0x26
	opF32Store           opcode = 0x38
	opF64Store           opcode = 0x39
	opMemorySize         opcode = 0x3f
	opMemoryGrow         opcode = 0x40
	opI32Const           opcode = 0x41
	opI64Const           opcode = 0x42
	opF32Const           opcode = 0x43
	opF64Const           opcode = 0x44
	opI32Eq              opcode = 0x46
	opI64LeU             opcode = 0x58
	opF32Ge              opcode = 0x60
	opF64Ge              opcode = 0x66
	opI32Add             opcode = 0x6a
	opI64Add             opcode = 0x7c
	opF32Abs             opcode = 0x8b
	opF32Neg             opcode = 0x8c
	opF32Copysign        opcode = 0x98
	opF64Abs             opcode = 0x99
	opF64Neg             opcode = 0x9a
	opF64Copysign        opcode = 0xa6
	opI64ExtendI32U      opcode = 0xad
	opF32Demote          opcode = 0xb6
	opF64Promote         opcode = 0xbb
	opI32Reinterpret     opcode = 0xbc
	opI64Reinterpret     opcode = 0xbd
	opRefNull            opcode = 0xd0
	opRefIsNull          opcode = 0xd1
	opRefFunc            opcode = 0xd2
	opRefAsNonNull       opcode = 0xd4
	opBrOnNull           opcode = 0xd5
	opBrOnNonNull        opcode = 0xd6

	miscPrefix   opcode = 0xfc
	vectorPrefix opcode = 0xfd

	misc   = miscPrefix << 16
	vector = vectorPrefix << 16

	opMemoryInit = misc | 8
	opDataDrop   = misc | 9
	opTableGrow  = misc | 15
	opTableFill  = misc | 17

	opV128Const       = vector | 12
	opF32x4Splat      = vector | 19
	opF64x2Splat      = vector | 20
	opF32x4Replace    = vector | 32
	opF64x2Replace    = vector | 34
	opF32x4Eq         = vector | 65
	opF64x2Eq         = vector | 71
	opV128Bitselect   = vector | 82
	opRelaxedFrom     = vector | 0x100
	opSignExtendFirst = opcode(0xc0)
	opSignExtendLast  = opcode(0xc4)
)

// The kinds of what follows an opcode.
type immediate byte

const (
	plain     immediate = iota
	blockType           // a block's type
	index               // one index
	indices             // two indices
	labels              // a vector of labels, and one more
	types               // a vector of value types
	heapType            // a heap type
	memory              // alignment and offset
	lane                // a lane
	laneOf              // alignment, offset and a lane
	wide                // sixteen bytes
	zero                // the index of the only memory
	zeros               // two of them
	memZero             // an index, and the only memory
	number              // a signed number
	bits32              // four bytes
	bits64              // eight bytes
)

// An operator is how an instruction is written and, unless its operands depend
// on more than itself, what it takes and gives.
type operator struct {
	known           bool
	immediate       immediate
	params, results []valType
}

var (
	operators [256]operator
	miscOps   [18]operator
	vectorOps [256]operator
)

// letters stand for value types in signatures.
var letters = map[rune]valType{'i': i32, 'I': i64, 'f': f32, 'F': f64, 'v': v128}

// op makes an operator of a signature like "iF>" or "vv>v".
func op(imm immediate, signature string) operator {
	o := operator{known: true, immediate: imm}
	list := &o.params
	for _, c := range signature {
		if c == '>' {
			list = &o.results
			continue
		}
		*list = append(*list, letters[c])
	}
	return o
}

// A span is neighbouring opcodes that are written and typed alike.
type span struct {
	from, to  int
	immediate immediate
	signature string
}

func fill(table []operator, spans []span) {
	for _, s := range spans {
		for code := s.from; code <= s.to; code++ {
			table[code] = op(s.immediate, s.signature)
		}
	}
}

func init() { //nolint:gochecknoinits // the tables are made of a shorter form
	fill(operators[:], []span{
		{0x00, 0x01, plain, ">"},
		{0x02, 0x04, blockType, ">"},
		{0x05, 0x05, plain, ">"},
		{0x0b, 0x0b, plain, ">"},
		{0x0c, 0x0d, index, ">"},
		{0x0e, 0x0e, labels, ">"},
		{0x0f, 0x0f, plain, ">"},
		{0x10, 0x10, index, ">"},
		{0x11, 0x11, indices, ">"},
		{0x12, 0x12, index, ">"},
		{0x13, 0x13, indices, ">"},
		{0x14, 0x15, index, ">"},
		{0x1a, 0x1b, plain, ">"},
		{0x1c, 0x1c, types, ">"},
		{0x20, 0x26, index, ">"},
		{0x28, 0x28, memory, "i>i"},
		{0x29, 0x29, memory, "i>I"},
		{0x2a, 0x2a, memory, "i>f"},
		{0x2b, 0x2b, memory, "i>F"},
		{0x2c, 0x2f, memory, "i>i"},
		{0x30, 0x35, memory, "i>I"},
		{0x36, 0x36, memory, "ii>"},
		{0x37, 0x37, memory, "iI>"},
		{0x38, 0x38, memory, "if>"},
		{0x39, 0x39, memory, "iF>"},
		{0x3a, 0x3b, memory, "ii>"},
		{0x3c, 0x3e, memory, "iI>"},
		{0x3f, 0x3f, zero, ">i"},
		{0x40, 0x40, zero, "i>i"},
		{0x41, 0x41, number, ">i"},
		{0x42, 0x42, number, ">I"},
		{0x43, 0x43, bits32, ">f"},
		{0x44, 0x44, bits64, ">F"},
		{0x45, 0x45, plain, "i>i"},
		{0x46, 0x4f, plain, "ii>i"},
		{0x50, 0x50, plain, "I>i"},
		{0x51, 0x5a, plain, "II>i"},
		{0x5b, 0x60, plain, "ff>i"},
		{0x61, 0x66, plain, "FF>i"},
		{0x67, 0x69, plain, "i>i"},
		{0x6a, 0x78, plain, "ii>i"},
		{0x79, 0x7b, plain, "I>I"},
		{0x7c, 0x8a, plain, "II>I"},
		{0x8b, 0x91, plain, "f>f"},
		{0x92, 0x98, plain, "ff>f"},
		{0x99, 0x9f, plain, "F>F"},
		{0xa0, 0xa6, plain, "FF>F"},
		{0xa7, 0xa7, plain, "I>i"},
		{0xa8, 0xa9, plain, "f>i"},
		{0xaa, 0xab, plain, "F>i"},
		{0xac, 0xad, plain, "i>I"},
		{0xae, 0xaf, plain, "f>I"},
		{0xb0, 0xb1, plain, "F>I"},
		{0xb2, 0xb3, plain, "i>f"},
		{0xb4, 0xb5, plain, "I>f"},
		{0xb6, 0xb6, plain, "F>f"},
		{0xb7, 0xb8, plain, "i>F"},
		{0xb9, 0xba, plain, "I>F"},
		{0xbb, 0xbb, plain, "f>F"},
		{0xbc, 0xbc, plain, "f>i"},
		{0xbd, 0xbd, plain, "F>I"},
		{0xbe, 0xbe, plain, "i>f"},
		{0xbf, 0xbf, plain, "I>F"},
		{0xc0, 0xc1, plain, "i>i"},
		{0xc2, 0xc4, plain, "I>I"},
		{0xd0, 0xd0, heapType, ">"},
		{0xd1, 0xd1, plain, ">"},
		{0xd2, 0xd2, index, ">"},
		{0xd4, 0xd4, plain, ">"},
		{0xd5, 0xd6, index, ">"},
	})
	fill(miscOps[:], []span{
		{0, 1, plain, "f>i"},
		{2, 3, plain, "F>i"},
		{4, 5, plain, "f>I"},
		{6, 7, plain, "F>I"},
		{8, 8, memZero, "iii>"},
		{9, 9, index, ">"},
		{10, 10, zeros, "iii>"},
		{11, 11, zero, "iii>"},
		{12, 12, indices, "iii>"},
		{13, 13, index, ">"},
		{14, 14, indices, "iii>"},
		{15, 15, index, ">"},
		{16, 16, index, ">i"},
		{17, 17, index, ">"},
	})
	fill(vectorOps[:], []span{
		{0, 10, memory, "i>v"},
		{11, 11, memory, "iv>"},
		{12, 12, wide, ">v"},
		{13, 13, wide, "vv>v"},
		{14, 14, plain, "vv>v"},
		{15, 17, plain, "i>v"},
		{18, 18, plain, "I>v"},
		{19, 19, plain, "f>v"},
		{20, 20, plain, "F>v"},
		{21, 22, lane, "v>i"},
		{23, 23, lane, "vi>v"},
		{24, 25, lane, "v>i"},
		{26, 26, lane, "vi>v"},
		{27, 27, lane, "v>i"},
		{28, 28, lane, "vi>v"},
		{29, 29, lane, "v>I"},
		{30, 30, lane, "vI>v"},
		{31, 31, lane, "v>f"},
		{32, 32, lane, "vf>v"},
		{33, 33, lane, "v>F"},
		{34, 34, lane, "vF>v"},
		{35, 76, plain, "vv>v"},
		{77, 77, plain, "v>v"},
		{78, 81, plain, "vv>v"},
		{82, 82, plain, "vvv>v"},
		{83, 83, plain, "v>i"},
		{84, 87, laneOf, "iv>v"},
		{88, 91, laneOf, "iv>"},
		{92, 93, memory, "i>v"},
		{94, 98, plain, "v>v"},
		{99, 100, plain, "v>i"},
		{101, 102, plain, "vv>v"},
		{103, 106, plain, "v>v"},
		{107, 109, plain, "vi>v"},
		{110, 115, plain, "vv>v"},
		{116, 117, plain, "v>v"},
		{118, 121, plain, "vv>v"},
		{122, 122, plain, "v>v"},
		{123, 123, plain, "vv>v"},
		{124, 129, plain, "v>v"},
		{130, 130, plain, "vv>v"},
		{131, 132, plain, "v>i"},
		{133, 134, plain, "vv>v"},
		{135, 138, plain, "v>v"},
		{139, 141, plain, "vi>v"},
		{142, 147, plain, "vv>v"},
		{148, 148, plain, "v>v"},
		{149, 153, plain, "vv>v"},
		{155, 159, plain, "vv>v"},
		{160, 161, plain, "v>v"},
		{163, 164, plain, "v>i"},
		{167, 170, plain, "v>v"},
		{171, 173, plain, "vi>v"},
		{174, 174, plain, "vv>v"},
		{177, 177, plain, "vv>v"},
		{181, 186, plain, "vv>v"},
		{188, 191, plain, "vv>v"},
		{192, 193, plain, "v>v"},
		{195, 196, plain, "v>i"},
		{199, 202, plain, "v>v"},
		{203, 205, plain, "vi>v"},
		{206, 206, plain, "vv>v"},
		{209, 209, plain, "vv>v"},
		{213, 223, plain, "vv>v"},
		{224, 225, plain, "v>v"},
		{227, 227, plain, "v>v"},
		{228, 235, plain, "vv>v"},
		{236, 237, plain, "v>v"},
		{239, 239, plain, "v>v"},
		{240, 247, plain, "vv>v"},
		{248, 255, plain, "v>v"},
	})
}

// An instruction is one that was read. Its operands stay where they are until
// they are needed: a and b are indices, list is labels.
type instruction struct {
	opcode
	*operator
	a, b  uint32
	value int64 // of i32.const and i64.const
	block funcType
	list  []uint32
}

// instruction reads the next instruction of an expression. The error says why
// no program may have it.
func (r *reader) instruction(m *module, in *instruction) error {
	from := r.at
	code := opcode(r.byte())
	table := operators[:]
	place := code
	switch code {
	case miscPrefix:
		place = opcode(r.u32())
		table, code = miscOps[:], misc|place
	case vectorPrefix:
		place = opcode(r.u32())
		table, code = vectorOps[:], vector|place
	default:
	}
	if r.bad || int(place) >= len(table) || !table[place].known {
		return refuseOpcode(code, from, r.bad)
	}
	in.opcode, in.operator = code, &table[place]
	if err := r.immediates(m, in); err != nil {
		return err
	}
	if r.bad {
		return fmt.Errorf("it is cut short or damaged at byte %d", from)
	}
	return nil
}

func (r *reader) immediates(m *module, in *instruction) error {
	switch in.immediate {
	case plain:
	case blockType:
		return r.blockType(m, &in.block)
	case index:
		in.a = r.u32()
	case indices:
		in.a, in.b = r.u32(), r.u32()
	case labels:
		return r.labels(in)
	case types:
		return r.selectType(in)
	case heapType:
		in.value = r.signed()
	case memory, laneOf:
		if in.a, in.b = r.u32(), r.u32(); in.a >= 64 {
			return errMemories
		}
		if in.immediate == laneOf {
			r.byte()
		}
	case lane:
		r.byte()
	case wide:
		r.bytes(16)
	case zero, zeros, memZero:
		return r.onlyMemory(in)
	case number:
		in.value = r.signed()
	case bits32:
		r.bytes(4)
	case bits64:
		r.bytes(8)
	}
	return nil
}

func (r *reader) blockType(m *module, t *funcType) error {
	*t = funcType{}
	if !r.more() {
		r.bad = true
		return nil
	}
	switch b := r.data[r.at]; {
	case b == 0x40:
		r.at++
	case b >= 0x40 && b < 0x80:
		v, ok := r.valType()
		if !ok {
			return errValueType
		}
		t.results = []valType{v}
	default:
		i := r.signed()
		if i < 0 || i >= int64(len(m.types)) {
			return fmt.Errorf("a block has type %d; there are %d", i, len(m.types))
		}
		*t = m.types[i]
	}
	return nil
}

func (r *reader) labels(in *instruction) error {
	n := r.u32()
	if n > maxBrTable {
		return fmt.Errorf("a br_table has %d labels; engines take at most %d", n, maxBrTable)
	}
	in.list = in.list[:0]
	for range n + 1 {
		in.list = append(in.list, r.u32())
	}
	return nil
}

func (r *reader) selectType(in *instruction) error {
	in.block = funcType{}
	for range min(r.u32(), maxParams) {
		v, ok := r.valType()
		if !ok {
			return errValueType
		}
		in.block.results = append(in.block.results, v)
	}
	if len(in.block.results) != 1 {
		return fmt.Errorf("a select has %d types instead of one", len(in.block.results))
	}
	return nil
}

func (r *reader) onlyMemory(in *instruction) error {
	if in.immediate == memZero {
		in.a = r.u32()
	}
	second := byte(0)
	first := r.byte()
	if in.immediate == zeros {
		second = r.byte()
	}
	if first|second != 0 {
		return errMemories
	}
	return nil
}

// appendOp writes an opcode.
func appendOp(dst []byte, code opcode) []byte {
	if prefix := code >> 16; prefix != 0 {
		return appendU32(append(dst, byte(prefix)), int(code&0xffff))
	}
	return append(dst, byte(code))
}
