package random

import "slices"

// Instructions: WebAssembly Core Specification 2.0, section 5.4.
const (
	opBlock        = 0x02
	opLoop         = 0x03
	opIf           = 0x04
	opElse         = 0x05
	opEnd          = 0x0b
	opBr           = 0x0c
	opBrIf         = 0x0d
	opBrTable      = 0x0e
	opReturn       = 0x0f
	opCall         = 0x10
	opCallIndirect = 0x11
	opDrop         = 0x1a
	opSelect       = 0x1b
	opSelectTyped  = 0x1c
	opGet          = 0x20
	opSet          = 0x21
	opTee          = 0x22
	opGlobalGet    = 0x23
	opGlobalSet    = 0x24
	opAnd          = 0x71

	noType = 0x40 // of a block that takes and leaves nothing
)

// written are the types of what statements write, floats more often than others.
var written = types("ilfdvfdfdv")

// statement writes code that leaves the stack as it was.
func (f *function) statement() {
	f.spend()
	switch t := pick(f.Rand, written); f.IntN(16) {
	case 0, 1, 2, 3:
		f.operation(t, maxDepth)
		f.set([]valueType{t})
	case 4:
		f.globalSet(t)
	case 5:
		f.loop()
	case 6:
		f.block()
	case 7:
		f.leave()
	case 8:
		f.call()
	case 9:
		f.bulk()
	default:
		f.store(t)
	}
}

func (f *function) globalSet(t valueType) {
	if f.kind == Moves && (t == f32 || t == f64) {
		return
	}
	f.value(t, maxDepth)
	f.emit(opGlobalSet, byte(2*slices.Index(allTypes, t)+f.IntN(2)))
}

// within writes the inside of a block, which a branch leaves with some values.
func (f *function) within(l label, inside func()) {
	f.labels = append(f.labels, l)
	inside()
	f.labels = f.labels[:len(f.labels)-1]
	f.emit(opEnd)
}

// some writes a statement or two, if blocks are not nested too deep already.
func (f *function) some() {
	for range 1 + f.IntN(2) {
		if f.left > 0 && len(f.labels) < maxNesting {
			f.statement()
		}
	}
}

// blockValue is a block that leaves one value.
func (f *function) blockValue(t valueType) {
	f.emit(opBlock, byte(t))
	f.within(label{types: []valueType{t}}, func() {
		f.some()
		f.value(t, 2)
	})
}

// either is an if that leaves one value.
func (f *function) either(t valueType, depth int) {
	f.value(i32, depth)
	f.emit(opIf, byte(t))
	f.within(label{types: []valueType{t}}, func() {
		f.value(t, depth)
		f.emit(opElse)
		f.some()
		f.value(t, depth)
	})
}

// block takes values along on the stack, and leaves others.
func (f *function) block() {
	n := f.IntN(len(f.module.blocks))
	s := f.module.blocks[n]
	f.values(s.params)
	f.emit(opBlock)
	f.emit(signed(int64(f.module.blockType(n)))...)
	f.within(label{types: s.results}, func() {
		f.set(s.params)
		f.some()
		f.values(s.results)
	})
	f.set(s.results)
}

// loop goes round a few times, with values on the stack.
func (f *function) loop() {
	n, rounds := f.IntN(len(f.module.blocks)), 2+f.IntN(3)
	if f.times*rounds > 16 || len(f.labels) >= maxNesting {
		return
	}
	s, counter := f.module.blocks[n], f.counter()
	f.emit(integer(rounds)...)
	f.emit(opSet)
	f.emit(unsigned(counter)...)
	f.values(s.params)
	f.emit(opLoop)
	f.emit(signed(int64(f.module.blockType(n)))...)
	f.times *= rounds
	f.within(label{types: s.params, loop: true}, func() {
		f.set(s.params)
		f.some()
		f.values(s.params)
		f.count(counter)
		f.set(s.params)
		f.values(s.results)
	})
	f.times /= rounds
	f.set(s.results)
}

// counterType is a type of its own, so that only its loop uses a counter.
const counterType valueType = 0

func (f *function) counter() int {
	f.locals = append(f.locals, counterType)
	return len(f.locals) - 1
}

// count jumps back to the innermost block, while its counter is not down.
func (f *function) count(counter int) {
	f.emit(opGet)
	f.emit(unsigned(counter)...)
	f.emit(integer(1)...)
	f.emit(0x6b, opTee) // i32.sub
	f.emit(unsigned(counter)...)
	f.emit(opBrIf, 0)
}

// target picks a block that a branch may leave; it is counted from within.
func (f *function) target(fits func(label) bool) (depth int, l label, ok bool) {
	from := f.IntN(len(f.labels))
	for i := range f.labels {
		depth := (from + i) % len(f.labels)
		if l := f.labels[len(f.labels)-1-depth]; !l.loop && fits(l) {
			return depth, l, true
		}
	}
	return 0, label{}, false
}

// branchWith is a br_if that takes one value along, or leaves it on the stack.
func (f *function) branchWith(t valueType, depth int) {
	f.value(t, depth)
	to, _, ok := f.target(func(l label) bool { return len(l.types) == 1 && l.types[0] == t })
	if ok {
		f.value(i32, depth)
		f.emit(opBrIf)
		f.emit(unsigned(to)...)
	}
}

// branchTable leaves one of two blocks, each with a value.
func (f *function) branchTable(t valueType) {
	one := label{types: []valueType{t}}
	f.emit(opBlock, byte(t))
	f.within(one, func() {
		f.emit(opBlock, byte(t))
		f.within(one, func() {
			f.value(t, 2)
			f.value(i32, 1)
			f.emit(opBrTable, 3, 0, 1, 0, 1)
			f.dead()
		})
		f.apply(t)
	})
}

// apply takes the value on the stack through one more operation, if there is
// one that takes nothing else.
func (f *function) apply(t valueType) {
	for _, o := range operations[f.kind][t] {
		if len(o.in) == 1 && o.in[0] == t && f.IntN(3) == 0 {
			f.emit(o.code...)
			return
		}
	}
}

// leave is an if whose inside leaves a block, or the function, for good.
func (f *function) leave() {
	f.value(i32, 2)
	f.emit(opIf, noType)
	f.within(label{}, func() {
		to, l, ok := f.target(func(label) bool { return true })
		if !ok {
			return
		}
		f.values(l.types)
		if to == len(f.labels)-1 && f.IntN(2) == 0 {
			f.emit(opReturn)
		} else {
			f.emit(opBr)
			f.emit(unsigned(to)...)
		}
		f.dead()
	})
}

// dead writes what is never executed: there an instruction takes its operands
// from an empty stack.
func (f *function) dead() {
	switch f.IntN(8) {
	case 0:
		f.emit(0x99, opDrop) // f64.abs
	case 1:
		f.emit(0xa0, 0xbd, opDrop) // f64.add, i64.reinterpret_f64
	case 2:
		f.emit(0x39, 0, 0) // f64.store
	case 3:
		f.emit(opSelect, opDrop)
	case 4:
		f.emit(0x43, 0, 0, 0xc0, 0x7f, 0x98, opDrop) // f32.const nan, f32.copysign
	case 5:
		f.emit(slices.Concat(vectorCode(20), vectorCode(240), []byte{opDrop})...) // f64x2.splat, f64x2.add
	case 6:
		f.some()
	}
}
