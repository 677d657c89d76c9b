package profile

import "fmt"

// wazero 1.12's compiler for arm64 makes two mistakes with whole numbers, which
// every honest runner on such a processor would be blamed for. What it gets
// wrong is written another way, with the same meaning:
//
//   - i32.popcnt counts 64 bits, of which i32.load8_s and i32.load16_s have set
//     the upper ones. The count is made of the number extended to 64 bits.
//   - A comparison of a bitwise and with zero, less or greater, is wrong where
//     a branch depends on it. With i32.or of zero in between it is not
//     recognised as one.
const (
	opI32LtS    opcode = 0x48
	opI32GeU    opcode = 0x4f
	opI64LtS    opcode = 0x53
	opI64GeU    opcode = 0x5a
	opI32Popcnt opcode = 0x69
	opI32And    opcode = 0x71
	opI32Or     opcode = 0x72
	opI64Popcnt opcode = 0x7b
	opI64And    opcode = 0x83
	opI64Or     opcode = 0x84
	opI32Wrap   opcode = 0xa7
)

// An operand is what is known of a value when the instruction that leaves it on
// the stack is read.
type operand struct {
	from int  // where the instruction begins
	and  bool // it may be the result of an and
	zero bool // it may be the constant zero
	leaf bool // the instruction takes nothing from the stack
}

// A mistakes rewrites one function.
type mistakes struct {
	body   *body
	params uint32
	ands   map[uint32]bool // locals that an and is assigned to
	out    []byte
	copied int
	last   [2]operand // of the instruction before, and of the one before that
}

// avoidMistakes writes what an engine gets wrong another way.
func avoidMistakes(m *module, _ *Report) error {
	for i := range m.bodies {
		f := &mistakes{body: &m.bodies[i], params: uint32(len(m.types[m.functions[m.imported+i]].params)), ands: map[uint32]bool{}}
		for known := -1; known < len(f.ands); { // an assignment may come after what it matters to
			known = len(f.ands)
			if err := f.walk(m); err != nil {
				return fmt.Errorf("function %d: %w", m.imported+i, err)
			}
		}
		if f.copied > 0 {
			f.body.code = append(f.out, f.body.code[f.copied:]...)
		}
	}
	return nil
}

func (f *mistakes) walk(m *module) error {
	f.out, f.copied, f.last = nil, 0, [2]operand{}
	r := reader{data: f.body.code}
	var in instruction
	for r.more() {
		from := r.at
		if err := r.instruction(m, &in); err != nil {
			return err
		}
		f.step(&in, from, r.at)
	}
	return nil
}

// step reads one instruction, which lies between two places.
func (f *mistakes) step(in *instruction, from, to int) {
	switch code := in.opcode; {
	case code == opI32Popcnt:
		f.insert(from, opI64ExtendI32U, opI64Popcnt, opI32Wrap)
		f.copied = to
	case code >= opI32LtS && code <= opI32GeU:
		f.compare(from, opI32Const, opI32Or)
	case code >= opI64LtS && code <= opI64GeU:
		f.compare(from, opI64Const, opI64Or)
	case (code == opLocalSet || code == opLocalTee) && f.last[0].and:
		f.ands[in.a] = true
	}
	f.last[0], f.last[1] = f.operand(in, from), f.last[0]
}

func (f *mistakes) operand(in *instruction, from int) operand {
	switch in.opcode {
	case opI32And, opI64And:
		return operand{from: from, and: true}
	case opI32Const, opI64Const:
		return operand{from: from, zero: in.value == 0, leaf: true}
	case opLocalGet:
		return operand{from: from, and: f.ands[in.a], zero: in.a >= f.params, leaf: true}
	case opLocalTee, opEnd: // the same value is still there
		return f.last[0]
	default:
		return operand{from: from}
	}
}

// compare keeps the operands of a comparison from being taken for an and and
// zero.
func (f *mistakes) compare(from int, constant, or opcode) {
	top, below := f.last[0], f.last[1]
	switch {
	case top.and && (!top.leaf || below.zero):
		f.insert(from, constant, 0, or)
	case top.leaf && top.zero && below.and:
		f.insert(top.from, constant, 0, or)
	}
}

// insert puts instructions before a place.
func (f *mistakes) insert(at int, code ...opcode) {
	f.out = append(f.out, f.body.code[f.copied:at]...)
	f.copied = at
	for _, c := range code {
		f.out = appendOp(f.out, c)
	}
}
