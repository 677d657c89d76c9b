package random

// call calls a function that was written before, itself or through the table,
// and puts its results into locals.
func (f *function) call() {
	if f.index < MinFunctions {
		return
	}
	if f.IntN(3) == 0 {
		f.callIndirect()
		return
	}
	callee := f.IntN(f.index)
	if !f.afford(f.module.costs[callee]) {
		return
	}
	s := f.module.signatureOf(callee)
	f.values(s.params)
	f.emit(opCall)
	f.emit(unsigned(firstRandom + callee)...)
	f.set(s.results)
}

func (f *function) callIndirect() {
	n := f.IntN(signatures)
	if !f.afford(f.module.costOfLeaves(n)) {
		return
	}
	s := f.module.signatures[n]
	f.values(s.params)
	f.value(i32, 2)
	f.emit(integer(leaves - 1)...)
	f.emit(opAnd)
	f.emit(integer(n * leaves)...)
	f.emit(0x6a, opCallIndirect) // i32.add
	f.emit(unsigned(f.module.functionType(n))...)
	f.emit(mainTable)
	f.set(s.results)
}

// afford says whether something may be executed here, and counts it.
func (f *function) afford(cost int) bool {
	if f.cost+f.times*cost > costLimit {
		return false
	}
	f.cost += f.times * cost
	return true
}

// bulk fills or copies memory, or writes into the spare table.
func (f *function) bulk() {
	switch f.IntN(3) {
	case 0:
		f.address(true)
		f.emit(integer(working)...)
		f.emit(0x6a)
		f.value(i32, 1)
		f.emit(integer(f.IntN(16))...)
		f.emit(0xfc, 11, 0) // memory.fill
	case 1:
		f.emit(integer(working + f.IntN(workingSize))...)
		f.emit(integer(pristine + f.IntN(workingSize))...)
		f.emit(integer(f.IntN(16))...)
		f.emit(0xfc, 10, 0, 0) // memory.copy
	default:
		f.spareTable()
	}
}

// spareTable moves a reference within the spare table, and asks whether it is null.
func (f *function) spareTable() {
	f.emit(integer(0)...)
	f.emit(0xd2) // ref.func
	f.emit(unsigned(firstRandom)...)
	f.emit(0x26, spareTable) // table.set
	f.emit(integer(1)...)
	f.emit(integer(f.IntN(2))...)
	f.emit(0x25, spareTable, 0x26, spareTable) // table.get, table.set
	f.emit(integer(1)...)
	f.emit(0x25, spareTable, 0xd1, opSet) // ref.is_null
	f.emit(unsigned(f.local(i32))...)
}
