package profile

import (
	"errors"
	"fmt"
	"slices"
)

// walkBudget bounds the work on the functions of one module: it counts the
// words that are compared and copied where branches meet.
const walkBudget = 100_000_000

var errIntricate = errors.New("it is too intricate to be checked: it has very many locals, loops and branches in one function")

// A value is what is known of one on the stack.
type value struct {
	of    valType
	fresh bool // it may be a NaN that arithmetic has just made
}

// A meeting is what is known where branches meet.
type meeting struct {
	reached bool
	locals  []uint64 // a bit a local: it may be fresh
	values  []uint64 // a bit for each value that branches bring
}

// A frame is a block that was entered.
type frame struct {
	op       opcode
	of       funcType
	height   int  // of the stack below its parameters
	dead     bool // what follows is never reached
	born     bool // it was dead from its start
	label    *meeting
	ifLocals []uint64 // at the start of an if without its else
	ifValues []uint64
}

func (f *frame) brings() []valType {
	if f.op == opLoop {
		return f.of.params
	}
	return f.of.results
}

// A walker walks over one function, again until nothing new is found at the
// start of any loop, and rewrites it on the way.
type walker struct {
	m      *module
	body   *body
	of     funcType
	locals []valType
	budget *int

	r       reader
	in      instruction
	from    int // where the instruction begins
	stack   []value
	frames  []frame
	now     []uint64   // locals that may be fresh
	loops   []*meeting // by their order in the code; they last from walk to walk
	loop    int
	changed bool
	err     error

	out    []byte
	copied int // what was read up to here is in out
	temps  map[temporary]uint32
	added  []valType
	places int
}

func newWalker(m *module, i int, budget *int) *walker {
	w := &walker{m: m, body: &m.bodies[i], of: m.types[m.functions[m.imported+i]], budget: budget}
	w.locals = slices.Clone(w.of.params)
	for _, run := range w.body.locals {
		for range run.n {
			w.locals = append(w.locals, run.of)
		}
	}
	return w
}

// rewrite walks until nothing changes, and keeps what the last walk has made.
func (w *walker) rewrite() error {
	for w.changed = true; w.changed && w.err == nil; {
		w.walk()
	}
	if w.err != nil || w.places == 0 {
		return w.err
	}
	w.insert(len(w.r.data), nil)
	w.body.code = w.out
	for _, t := range w.added {
		w.body.locals = append(w.body.locals, localRun{1, t})
	}
	return tooMany(len(w.locals)+len(w.added), maxLocals, "locals in one function")
}

func (w *walker) walk() {
	w.r, w.changed = reader{data: w.body.code}, false
	w.out, w.copied, w.places, w.loop = w.out[:0], 0, 0, 0
	w.temps, w.added = map[temporary]uint32{}, nil
	w.stack, w.now = w.stack[:0], make([]uint64, (len(w.locals)+63)/64)
	w.frames = append(w.frames[:0], frame{op: opBlock, of: funcType{results: w.of.results}, label: &meeting{}})
	for len(w.frames) > 0 && w.err == nil {
		w.from = w.r.at
		if err := w.r.instruction(w.m, &w.in); err != nil {
			w.err = err
			return
		}
		w.step()
	}
	if w.err == nil && w.r.at != len(w.r.data) {
		w.fail("there is code after its end")
	}
}

func (w *walker) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf("it is not valid: "+format, args...)
	}
}

func (w *walker) spend(n int) {
	if *w.budget -= n + 1; *w.budget < 0 && w.err == nil {
		w.err = errIntricate
	}
}

func (w *walker) top() *frame { return &w.frames[len(w.frames)-1] }

// step follows one instruction.
func (w *walker) step() {
	switch w.in.opcode {
	case opBlock, opLoop, opIf:
		w.enter()
		return
	case opElse:
		w.otherwise()
		return
	case opEnd:
		w.leave()
		return
	default:
	}
	if !w.top().dead && !w.jump() && !w.call() && !w.variable() && !w.reference() {
		w.compute()
	}
}

// jump follows the instructions that go elsewhere.
func (w *walker) jump() bool {
	switch w.in.opcode {
	case opBr:
		w.branch(w.in.a, 0)
		w.die()
	case opBrIf:
		w.branch(w.in.a, 1)
		w.pop()
	case opBrTable:
		for i, depth := range w.in.list {
			if i == 0 || depth != w.in.list[i-1] {
				w.branch(depth, 1)
			}
		}
		w.die()
	case opBrOnNull:
		w.branch(w.in.a, 1)
		v := w.pop()
		w.push(value{of: nonNull(v.of)})
	case opBrOnNonNull:
		w.branch(w.in.a, 0)
		w.pop()
	case opReturn:
		w.clean(len(w.of.results))
		w.die()
	case opUnreachable:
		w.die()
	default:
		return false
	}
	return true
}

// branch brings the values below the top ones to a label. Those that leave the
// function are made canonical.
func (w *walker) branch(depth uint32, above int) {
	if int(depth) >= len(w.frames) {
		w.fail("a branch leaves %d blocks of %d", depth, len(w.frames))
		return
	}
	f := &w.frames[len(w.frames)-1-int(depth)]
	n := len(f.brings())
	if len(w.stack)-above-n < w.top().height {
		w.fail("a branch brings values that are not there")
		return
	}
	if int(depth) == len(w.frames)-1 {
		w.clean(n + above)
		f.label.reached = true
		return
	}
	values := w.stack[len(w.stack)-above-n : len(w.stack)-above]
	if w.meet(f.label, values) && f.op == opLoop {
		w.changed = true
	}
}

// meet adds what is known here to what is known where branches meet, and says
// whether that is news.
func (w *walker) meet(at *meeting, values []value) (news bool) {
	w.spend(len(w.now) + len(values)/64)
	if at.locals == nil {
		at.locals, at.values = make([]uint64, len(w.now)), make([]uint64, (len(values)+63)/64)
	}
	at.reached = true
	for i, bits := range w.now {
		news = news || bits&^at.locals[i] != 0
		at.locals[i] |= bits
	}
	for i, v := range values {
		if v.fresh && !bit(at.values, i) {
			news = true
			setBit(at.values, i, true)
		}
	}
	return news
}

// die says that what follows in this block is never reached.
func (w *walker) die() {
	f := w.top()
	f.dead = true
	w.stack = w.stack[:min(f.height, len(w.stack))]
}

// call follows calls. Their arguments are made canonical, so that parameters are
// always clean; and so are their results.
func (w *walker) call() bool {
	var of uint32
	above := 0
	switch w.in.opcode {
	case opCall, opReturnCall:
		if int(w.in.a) >= len(w.m.functions) {
			w.fail("it calls function %d of %d", w.in.a, len(w.m.functions))
			return true
		}
		of = w.m.functions[w.in.a]
	case opCallIndirect, opReturnCallIndirect, opCallRef, opReturnCallRef:
		of, above = w.in.a, 1
	default:
		return false
	}
	if int(of) >= len(w.m.types) {
		w.fail("it calls a function of type %d; there are %d", of, len(w.m.types))
		return true
	}
	t := w.m.types[of]
	w.clean(len(t.params) + above)
	for range len(t.params) + above {
		w.pop()
	}
	switch w.in.opcode {
	case opReturnCall, opReturnCallIndirect, opReturnCallRef:
		w.die()
	default:
		w.pushAll(t.results)
	}
	return true
}

// variable follows the instructions on locals and globals.
func (w *walker) variable() bool {
	n := w.in.a
	switch w.in.opcode {
	case opLocalGet:
		w.push(value{w.typeOfLocal(n), w.known(n) && bit(w.now, int(n))})
	case opLocalSet:
		if v := w.pop(); w.known(n) {
			setBit(w.now, int(n), v.fresh)
		}
	case opLocalTee:
		if v := w.peek(); v != nil && w.known(n) {
			setBit(w.now, int(n), v.fresh)
			w.teeThenClean(n)
		}
	case opGlobalGet:
		if w.knownGlobal(n) {
			w.push(value{of: w.m.globals[n].of})
		}
	case opGlobalSet:
		if w.knownGlobal(n) {
			w.clean(1)
			w.pop()
		}
	default:
		return false
	}
	return true
}

func (w *walker) known(local uint32) bool {
	if int(local) >= len(w.locals) {
		w.fail("it uses local %d of %d", local, len(w.locals))
	}
	return w.err == nil
}

func (w *walker) typeOfLocal(local uint32) valType {
	if int(local) >= len(w.locals) {
		return unknown
	}
	return w.locals[local]
}

func (w *walker) knownGlobal(n uint32) bool {
	if int(n) >= len(w.m.globals) {
		w.fail("it uses global %d of %d", n, len(w.m.globals))
	}
	return w.err == nil
}

// reference follows the instructions on references and tables whose operands
// depend on more than the opcode.
func (w *walker) reference() bool {
	switch w.in.opcode {
	case opRefNull:
		w.push(value{of: nullOf(w.in.value)})
	case opRefIsNull:
		w.pop()
		w.push(value{of: i32})
	case opRefFunc:
		w.push(value{of: w.refOf(w.in.a)})
	case opRefAsNonNull:
		w.push(value{of: nonNull(w.pop().of)})
	case opTableGet:
		w.pop()
		if int(w.in.a) < len(w.m.tables) {
			w.push(value{of: w.m.tables[w.in.a].of})
		} else {
			w.fail("it uses table %d of %d", w.in.a, len(w.m.tables))
		}
	case opTableSet:
		w.popMany(2)
	case opTableGrow:
		w.popMany(2)
		w.push(value{of: i32})
	case opTableFill:
		w.popMany(3)
	default:
		return false
	}
	return true
}

func (w *walker) refOf(function uint32) valType {
	if w.m.uses[featTypedReferences] && int(function) < len(w.m.functions) {
		return valType(w.m.functions[function])<<8 | refTo
	}
	return funcref
}

func nullOf(heap int64) valType {
	if heap < 0 {
		return valType(byte(heap) & 0x7f)
	}
	return valType(heap)<<8 | refNull
}

func nonNull(t valType) valType {
	switch byte(t) {
	case refNull:
		return t&^0xff | refTo
	case byte(funcref), byte(externref):
		return valType(int64(t)-0x80)<<8 | refTo
	}
	return t
}

// compute follows all other instructions: what they take and give depends on
// the opcode alone.
func (w *walker) compute() {
	code := w.in.opcode
	switch code {
	case opDrop:
		w.pop()
		return
	case opSelect, opSelectTyped:
		w.pop()
		b, a := w.pop(), w.pop()
		w.push(value{a.of, a.fresh || b.fresh})
		return
	default:
	}
	if shows(code) {
		w.clean(1)
	}
	var first value
	for range w.in.params {
		first = w.pop()
	}
	moves := code == opF32Abs || code == opF32Neg || code == opF32Copysign || code == opF64Abs || code == opF64Neg || code == opF64Copysign
	for _, t := range w.in.results {
		w.push(value{t, fresh(code) || moves && first.fresh})
	}
	if lanes := freshVector(code); lanes != unknown {
		w.cleanVector(lanes)
	}
}

// enter follows the start of a block.
func (w *walker) enter() {
	outer := w.top()
	f := frame{op: w.in.opcode, of: w.in.block, dead: outer.dead, born: outer.dead}
	if f.dead {
		w.frames = append(w.frames, f)
		if f.op == opLoop { // it has its number all the same
			w.loopMeeting()
		}
		return
	}
	if f.op == opIf {
		w.pop()
	}
	f.height = len(w.stack) - len(f.of.params)
	if f.height < outer.height {
		w.fail("a block takes values that are not there")
		return
	}
	params := w.stack[f.height:]
	f.label = &meeting{}
	switch f.op {
	case opIf:
		f.ifLocals, f.ifValues = slices.Clone(w.now), freshBits(params)
		w.spend(len(w.now))
	case opLoop:
		f.label = w.loopMeeting()
		w.join(f.label.locals)
		for i := range params {
			params[i].fresh = params[i].fresh || bit(f.label.values, i)
		}
	default:
	}
	w.frames = append(w.frames, f)
}

// loopMeeting gives the start of the next loop in the order of the code.
func (w *walker) loopMeeting() *meeting {
	if w.loop == len(w.loops) {
		w.loops = append(w.loops, &meeting{})
	}
	w.loop++
	return w.loops[w.loop-1]
}

func (w *walker) join(locals []uint64) {
	w.spend(len(locals))
	for i, bits := range locals {
		w.now[i] |= bits
	}
}

// otherwise follows an else.
func (w *walker) otherwise() {
	f := w.top()
	if f.op != opIf || f.ifLocals == nil && !f.born {
		w.fail("there is an else without an if")
		return
	}
	if f.born {
		return
	}
	w.fallThrough(f)
	copy(w.now, f.ifLocals)
	w.stack = w.stack[:f.height]
	for i, t := range f.of.params {
		w.push(value{t, bit(f.ifValues, i)})
	}
	f.dead, f.ifLocals = false, nil
}

// fallThrough brings the results of a block to its end.
func (w *walker) fallThrough(f *frame) {
	if f.dead {
		return
	}
	if len(w.stack)-len(f.of.results) < f.height {
		w.fail("a block ends without its results")
		return
	}
	w.meet(f.label, w.stack[len(w.stack)-len(f.of.results):])
}

// leave follows the end of a block, or of the function.
func (w *walker) leave() {
	f := *w.top()
	if len(w.frames) == 1 {
		if !f.dead {
			w.clean(len(f.of.results))
		}
		w.frames = w.frames[:0]
		return
	}
	w.frames = w.frames[:len(w.frames)-1]
	switch {
	case f.born:
	case f.op == opLoop:
		if f.dead {
			w.die()
		}
	default:
		w.leaveBlock(&f)
	}
}

func (w *walker) leaveBlock(f *frame) {
	w.fallThrough(f)
	if w.err != nil {
		return
	}
	if f.op == opIf && f.ifLocals != nil { // without an else its parameters are its results
		copy(w.now, f.ifLocals)
		values := make([]value, len(f.of.results))
		for i := range values {
			values[i].fresh = bit(f.ifValues, i)
		}
		w.meet(f.label, values)
	}
	if !f.label.reached {
		w.stack = w.stack[:f.height]
		w.die()
		return
	}
	copy(w.now, f.label.locals)
	w.stack = w.stack[:f.height]
	for i, t := range f.of.results {
		w.push(value{t, bit(f.label.values, i)})
	}
}

func (w *walker) push(v value) { w.stack = append(w.stack, v) }

func (w *walker) pushAll(types []valType) {
	for _, t := range types {
		w.push(value{of: t})
	}
}

func (w *walker) pop() (v value) {
	if len(w.stack) <= w.top().height {
		w.fail("it takes a value that is not there")
		return v
	}
	v = w.stack[len(w.stack)-1]
	w.stack = w.stack[:len(w.stack)-1]
	return v
}

func (w *walker) popMany(n int) {
	for range n {
		w.pop()
	}
}

// peek gives the value on top of the stack, nil if there is none.
func (w *walker) peek() *value {
	if len(w.stack) <= w.top().height {
		w.fail("it takes a value that is not there")
		return nil
	}
	return &w.stack[len(w.stack)-1]
}

func freshBits(values []value) []uint64 {
	bits := make([]uint64, (len(values)+63)/64)
	for i, v := range values {
		setBit(bits, i, v.fresh)
	}
	return bits
}

func bit(bits []uint64, i int) bool { return i>>6 < len(bits) && bits[i>>6]>>(i&63)&1 != 0 }

func setBit(bits []uint64, i int, on bool) {
	if on {
		bits[i>>6] |= 1 << (i & 63)
	} else {
		bits[i>>6] &^= 1 << (i & 63)
	}
}
