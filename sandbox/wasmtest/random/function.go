package random

import (
	"math/rand/v2"
	"slices"
)

// Bounds of one function. They keep it small enough that a module has many.
const (
	instructions = 30  // about so many are written at most
	costLimit    = 600 // and about so many are executed, those of what it calls included
	maxDepth     = 5   // of operands within operands
	maxNesting   = 5   // of blocks
)

// A label is a block that a branch may leave, with what the branch takes along.
type label struct {
	types []valueType
	loop  bool // only the loop's own counter jumps back
}

// A function is one that is being written.
type function struct {
	*rand.Rand
	module *module
	kind   Kind
	index  int
	code   []byte
	locals []valueType // parameters first
	labels []label
	left   int // instructions that may still be written
	times  int // how often what is written now is executed
	cost   int
}

// write makes the code of the function with an index, and counts its cost.
func (m *module) write(index int) (body []byte, cost int) {
	s := m.signatureOf(index)
	f := &function{
		Rand: rand.New(rand.NewPCG(m.seed, uint64(index))), module: m, kind: m.kind, index: index, //nolint:gosec // it must be had again
		locals: slices.Concat(s.params, allTypes, allTypes), labels: []label{{types: s.results}}, times: 1,
	}
	f.left = 1 + f.IntN(instructions)
	for f.left > 0 {
		f.statement()
	}
	f.values(s.results)
	return vector(slices.Concat(declare(f.locals[len(s.params):]), f.code, []byte{opEnd})), f.cost
}

// declare lists local variables.
func declare(locals []valueType) []byte {
	out := unsigned(len(locals))
	for _, t := range locals {
		if t == counterType {
			t = i32
		}
		out = append(out, 1, byte(t))
	}
	return out
}

func (f *function) emit(code ...byte) { f.code = append(f.code, code...) }

// spend counts an instruction.
func (f *function) spend() {
	f.left--
	f.cost += f.times
}

func (f *function) values(list []valueType) {
	for _, t := range list {
		f.value(t, maxDepth)
	}
}

// value writes code that leaves a value of a type on the stack.
func (f *function) value(t valueType, depth int) {
	f.spend()
	if depth <= 0 || f.left <= 0 {
		f.leaf(t)
		return
	}
	switch f.IntN(20) {
	case 0:
		f.choice(t, depth-1)
	case 1:
		f.value(t, depth-1)
		f.emit(opTee)
		f.emit(unsigned(f.local(t))...)
	case 2:
		f.blockValue(t)
	case 3:
		f.either(t, depth-1)
	case 4:
		f.branchTable(t)
	case 5:
		f.branchWith(t, depth-1)
	case 6:
		f.call()
		f.get(t)
	case 7:
		f.leaf(t)
	case 8:
		f.load(t, true)
	default:
		f.operation(t, depth-1)
	}
}

// leaf writes a value that takes none.
func (f *function) leaf(t valueType) {
	switch f.IntN(10) {
	case 0, 1:
		f.emit(constant(f.Rand, f.kind, t)...)
	case 2:
		f.global(t)
	case 3, 4, 5:
		f.load(t, false)
	case 6:
		f.sizes(t)
	default:
		f.get(t)
	}
}

// local picks a local variable of a type. There is one, always.
func (f *function) local(t valueType) int {
	from := f.IntN(len(f.locals))
	for i := range f.locals {
		if n := (from + i) % len(f.locals); f.locals[n] == t {
			return n
		}
	}
	panic("random: a function without a local of each type")
}

func (f *function) get(t valueType) {
	f.emit(opGet)
	f.emit(unsigned(f.local(t))...)
}

// set takes values off the stack, the last one first.
func (f *function) set(list []valueType) {
	for _, t := range slices.Backward(list) {
		f.emit(opSet)
		f.emit(unsigned(f.local(t))...)
	}
}

// global reads a global variable. What only moves leaves floats out of them:
// they are a place where NaNs are made canonical.
func (f *function) global(t valueType) {
	if f.kind == Moves && (t == f32 || t == f64) {
		f.get(t)
		return
	}
	f.emit(opGlobalGet, byte(2*slices.Index(allTypes, t)+f.IntN(2)))
}

func (f *function) operation(t valueType, depth int) {
	list := operations[f.kind][t]
	if f.kind == Calm && f.IntN(3) == 0 && f.calm(t, depth) {
		return
	}
	if len(list) == 0 {
		f.leaf(t)
		return
	}
	o := pick(f.Rand, list)
	for _, in := range o.in {
		f.value(in, depth)
	}
	f.emit(o.code...)
	if o.lanes > 0 {
		f.emit(byte(f.IntN(o.lanes)))
	}
	for range o.random {
		f.emit(byte(f.IntN(32)))
	}
}

// address leaves an address within the function's memory on the stack.
func (f *function) address(simple bool) {
	if simple {
		f.emit(integer(8 * f.IntN(workingSize/8))...)
		return
	}
	f.value(i32, 1)
	f.emit(integer(workingSize - 1)...)
	f.emit(opAnd)
}

// load reads memory. A calm function reads floats only where there are such.
func (f *function) load(t valueType, computed bool) {
	if f.kind == Calm && (t == f32 || t == f64) {
		f.emit(integer(calmAddress(f.Rand, t))...)
		f.emit(append(loads[t][0].code, 0, 0)...)
		return
	}
	f.address(!computed)
	f.access(pick(f.Rand, loads[t]), t)
}

// offsets are added to addresses. Most leave floats as a whole.
var offsets = []int{0, 0, 0, 8, 8, 4, 1, 15}

// access ends a load or a store whose address is on the stack.
func (f *function) access(a access, t valueType) {
	if a.lane > 0 {
		f.value(t, 1)
	}
	f.emit(slices.Concat(a.code, []byte{0}, unsigned(working+pick(f.Rand, offsets)))...)
	if a.lane > 0 {
		f.emit(byte(f.IntN(a.lane)))
	}
}

// store writes memory.
func (f *function) store(t valueType) {
	f.address(f.IntN(2) == 0)
	a := pick(f.Rand, stores[t])
	if a.lane == 0 {
		f.operation(t, maxDepth)
	}
	f.access(a, t)
}

// choice is select, with its type or without.
func (f *function) choice(t valueType, depth int) {
	f.value(t, depth)
	f.value(t, depth)
	f.value(i32, depth)
	if f.IntN(2) == 0 {
		f.emit(opSelect)
		return
	}
	f.emit(opSelectTyped, 1, byte(t))
}

// sizes reads what memory and tables say of themselves, or lets them grow.
func (f *function) sizes(t valueType) {
	if t != i32 {
		f.get(t)
		return
	}
	switch f.IntN(4) {
	case 0:
		f.emit(0x3f, 0) // memory.size
	case 1:
		f.emit(integer(f.IntN(2))...)
		f.emit(0x40, 0) // memory.grow
	case 2:
		f.emit(0xfc, 16, spareTable) // table.size
	default:
		f.emit(0xd0, 0x70) // ref.null func
		f.emit(integer(f.IntN(3))...)
		f.emit(0xfc, 15, spareTable) // table.grow
	}
}
