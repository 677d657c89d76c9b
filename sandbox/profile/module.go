package profile

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"potluck/sandbox"
)

// The sections of a module: WebAssembly Core Specification 2.0, section 5.5.
const (
	secCustom   = 0
	secType     = 1
	secImport   = 2
	secFunction = 3
	secTable    = 4
	secMemory   = 5
	secGlobal   = 6
	secExport   = 7
	secStart    = 8
	secElement  = 9
	secCode     = 10
	secData     = 11
	secCount    = 12 // how many data segments there are; it stands before the code
	secTag      = 13

	kindFunction = 0
	kindTable    = 1
	kindMemory   = 2
	kindGlobal   = 3

	typeFunction = 0x60

	limitMax    = 0x01
	limitShared = 0x02
	limitWide   = 0x04

	pageSize = 64 << 10
)

// order is the order of the sections in a module, but for custom ones.
var order = []byte{
	secType, secImport, secFunction, secTable, secMemory, secGlobal, secExport, secStart, secElement, secCount, secCode, secData,
}

var preamble = []byte("\x00asm\x01\x00\x00\x00")

// A module is a module that was read. Passes change it, and then it is written
// again. Sections that no pass looks into are kept as they came.
type module struct {
	raw       map[byte][]byte // bodies of the sections that are written as they came
	types     []funcType
	functions []uint32 // types of all functions, the imported ones first
	imported  int      // how many of them are imported
	tables    []table
	memory    limits
	memories  int
	globals   []global
	exports   []export
	start     int // the function of the start section, -1 without one
	elements  int // entries of all element segments
	count     bool
	bodies    []body // of the functions that are not imported
	data      []segment

	uses map[string]bool // features that the module uses

	// What scan has found, functions by their place in bodies.
	arithmetic  []int           // those that may make NaNs
	grows       []int           // those that grow the memory
	growing     map[uint32]bool // tables that table.grow is used on
	watchers    []int           // those that use the global exported as sandbox.GrowFailed
	initialises bool            // data segments are used while the program runs
}

type limits struct {
	low, high uint32
	capped    bool // there is a high
}

type table struct {
	of   valType
	init []byte // the expression that entries begin with, if there is one
	limits
}

type global struct {
	of      valType
	mutable byte
	init    []byte // an expression, with its end
}

type export struct {
	name  []byte
	kind  byte
	index uint32
}

type body struct {
	locals []localRun
	code   []byte // with its end
}

// A localRun is neighbouring locals of one type.
type localRun struct {
	n  uint32
	of valType
}

// A segment is one of data. One that is active is copied to an offset of the
// memory when the module is instantiated.
type segment struct {
	active   bool
	constant bool  // the offset is a constant
	offset   int64 // if so
	at       []byte
	bytes    []byte
}

// read reads a module. The error says what is wrong with it.
func read(data []byte) (*module, error) {
	m := &module{raw: map[byte][]byte{}, start: -1, uses: map[string]bool{}}
	r := reader{data: data, at: len(preamble)}
	last := -1
	for r.more() {
		from := r.at
		id := r.byte()
		body := r.vector()
		if r.bad {
			return nil, fmt.Errorf("the module is cut short or damaged at byte %d", from)
		}
		if id == secCustom {
			continue // names and notes for tools: no engine needs them, and what they say of the code is not true any more
		}
		place := slices.Index(order, id)
		if place <= last && id != secTag {
			return nil, fmt.Errorf("the module has a section %d that is unknown, there twice or out of order, at byte %d", id, from)
		}
		last = max(last, place)
		if err := m.section(id, body); err != nil {
			return nil, fmt.Errorf("section %d of the module at byte %d: %w", id, from, err)
		}
	}
	if len(m.bodies) != len(m.functions)-m.imported {
		return nil, fmt.Errorf("the module declares %d functions and has code for %d", len(m.functions)-m.imported, len(m.bodies))
	}
	return m, nil
}

func (m *module) section(id byte, data []byte) error {
	r := &reader{data: data}
	parse := map[byte]func(*reader) error{
		secType: m.readTypes, secImport: m.readImports, secFunction: m.readFunctions, secTable: m.readTables,
		secMemory: m.readMemory, secGlobal: m.readGlobals, secExport: m.readExports, secStart: m.readStart,
		secElement: m.readElements, secCount: m.readCount, secCode: m.readBodies, secData: m.readData,
		secTag: func(*reader) error { return errExceptions },
	}[id]
	if err := parse(r); err != nil {
		return err
	}
	if r.bad || r.at != len(data) {
		return errors.New("it is cut short or damaged")
	}
	if id == secImport || id == secElement {
		m.raw[id] = data
	}
	return nil
}

// vectorOf reads the elements of a vector, of which there are at most so many.
func vectorOf(r *reader, most int, what string, element func() error) error {
	n := r.u32()
	if err := tooMany(int(n), most, what); err != nil {
		return err
	}
	for range n {
		if r.bad {
			return nil
		}
		if err := element(); err != nil {
			return err
		}
	}
	return nil
}

func (m *module) readTypes(r *reader) error {
	return vectorOf(r, maxTypes, "types", func() error {
		if form := r.byte(); form != typeFunction && !r.bad {
			return errValueType
		}
		var t funcType
		for _, list := range []struct {
			of   *[]valType
			most int
			what string
		}{{&t.params, maxParams, "parameters"}, {&t.results, maxResults, "results"}} {
			err := vectorOf(r, list.most, list.what+" of one function", func() error {
				v, ok := r.valType()
				if !ok && !r.bad {
					return errValueType
				}
				*list.of = append(*list.of, v)
				return nil
			})
			if err != nil {
				return err
			}
		}
		m.types = append(m.types, t)
		return nil
	})
}

func (m *module) readImports(r *reader) error {
	var refused []string
	err := vectorOf(r, maxFunctions, "imports", func() error {
		from, name, kind := string(r.vector()), string(r.vector()), r.byte()
		if r.bad {
			return nil
		}
		if kind != kindFunction || from != sandbox.WASI {
			refused = append(refused, from+"."+name)
		}
		if kind != kindFunction { // what follows depends on the kind; one name is enough
			return errImports(refused)
		}
		return m.addFunction(r.u32())
	})
	if err == nil && len(refused) > 0 && !r.bad {
		err = errImports(refused)
	}
	m.imported = len(m.functions)
	return err
}

func errImports(refused []string) error {
	return fmt.Errorf("it imports %s; a program may import functions of %s only", strings.Join(refused, ", "), sandbox.WASI)
}

func (m *module) addFunction(of uint32) error {
	if int(of) >= len(m.types) {
		return fmt.Errorf("a function has type %d; there are %d", of, len(m.types))
	}
	m.functions = append(m.functions, of)
	return nil
}

func (m *module) readFunctions(r *reader) error {
	return vectorOf(r, maxFunctions-m.imported, "functions", func() error { return m.addFunction(r.u32()) })
}

func (m *module) readTables(r *reader) error {
	return vectorOf(r, maxTables, "tables", func() error {
		var t table
		first := r.byte()
		if first == 0x40 { // an expression for what entries begin with follows
			r.byte()
		} else {
			r.at--
		}
		of, ok := r.valType()
		if !ok && !r.bad {
			return errValueType
		}
		t.of = of
		var err error
		if t.limits, err = r.limits(); err != nil {
			return err
		}
		if first == 0x40 {
			m.uses[featReferences] = true
			t.init, err = m.expression(r)
		}
		m.tables = append(m.tables, t)
		return err
	})
}

func (r *reader) limits() (l limits, err error) {
	flags := r.byte()
	if flags&limitShared != 0 {
		return l, errors.New("its memory is shared between threads; threads are not deterministic and not allowed")
	}
	if flags&limitWide != 0 {
		return l, errors.New("its memory has 64-bit addresses; Potluck runs 32-bit modules")
	}
	l.low = r.u32()
	if l.capped = flags&limitMax != 0; l.capped {
		l.high = r.u32()
	}
	return l, nil
}

func (m *module) readMemory(r *reader) (err error) {
	if m.memories = int(r.u32()); m.memories != 1 {
		return fmt.Errorf("it has %d memories; a program has exactly one", m.memories)
	}
	m.memory, err = r.limits()
	return err
}

func (m *module) readGlobals(r *reader) error {
	return vectorOf(r, maxGlobals, "globals", func() error {
		of, ok := r.valType()
		if !ok && !r.bad {
			return errValueType
		}
		g := global{of: of, mutable: r.byte()}
		var err error
		g.init, err = m.expression(r)
		m.globals = append(m.globals, g)
		return err
	})
}

// expression reads a constant expression with its end.
func (m *module) expression(r *reader) ([]byte, error) {
	from := r.at
	var in instruction
	for {
		if err := r.instruction(m, &in); err != nil {
			return nil, err
		}
		switch in.opcode {
		case opEnd:
			return r.data[from:r.at], nil
		case opI32Const, opI64Const, opF32Const, opF64Const, opV128Const, opRefNull, opRefFunc, opGlobalGet:
		case opI32Add, opI32Add + 1, opI32Add + 2, opI64Add, opI64Add + 1, opI64Add + 2:
			m.uses[featExtended] = true
		default:
			return nil, fmt.Errorf("a constant expression has instruction %#x", uint32(in.opcode))
		}
	}
}

func (m *module) readExports(r *reader) error {
	return vectorOf(r, maxExports, "exports", func() error {
		m.exports = append(m.exports, export{r.vector(), r.byte(), r.u32()})
		return nil
	})
}

func (m *module) readStart(r *reader) error {
	m.start = int(r.u32())
	if m.start >= len(m.functions) {
		return fmt.Errorf("it starts with function %d; there are %d", m.start, len(m.functions))
	}
	return nil
}

// readElements counts the entries of the element segments. Flags are those of
// the specification, section 5.5.12.
func (m *module) readElements(r *reader) error {
	return vectorOf(r, maxElements, "element segments", func() error {
		flags := r.u32()
		if flags > 7 {
			return errors.New("an element segment has unknown flags")
		}
		if flags&1 == 0 { // active
			if flags&2 != 0 {
				r.u32() // its table
			}
			if _, err := m.expression(r); err != nil {
				return err
			}
		}
		if flags&3 != 0 { // a kind, or a type
			if flags&4 == 0 {
				r.byte()
			} else if _, ok := r.valType(); !ok && !r.bad {
				return errValueType
			}
		}
		return m.readEntries(r, flags&4 != 0)
	})
}

func (m *module) readEntries(r *reader, expressions bool) error {
	n := r.u32()
	if err := tooMany(int(n), maxTable, "entries in an element segment"); err != nil {
		return err
	}
	m.elements += int(n)
	for range n {
		if !expressions {
			r.u32()
		} else if _, err := m.expression(r); err != nil {
			return err
		}
		if r.bad {
			break
		}
	}
	return nil
}

func (m *module) readCount(r *reader) error {
	m.count = true
	r.u32()
	return nil
}

func (m *module) readBodies(r *reader) error {
	all := 0
	return vectorOf(r, maxFunctions, "functions", func() error {
		data := r.vector()
		number := m.imported + len(m.bodies)
		if err := tooMany(len(data), maxBody, "bytes in one function"); err != nil {
			return fmt.Errorf("function %d: %w", number, err)
		}
		if number >= len(m.functions) {
			return errors.New("it has code for more functions than are declared")
		}
		b := reader{data: data}
		locals, n := b.locals()
		all += n
		n += len(m.types[m.functions[number]].params)
		err := errors.Join(tooMany(n, maxLocals, "locals in one function"), tooMany(all, allLocals, "locals in all"))
		if b.bad && err == nil {
			err = errors.New("its locals are cut short, damaged or of an unknown type")
		}
		if err != nil {
			return fmt.Errorf("function %d: %w", number, err)
		}
		m.bodies = append(m.bodies, body{locals, data[b.at:]})
		return nil
	})
}

// locals reads the declarations of a function's locals and counts these.
func (r *reader) locals() (runs []localRun, n int) {
	for range r.u32() {
		run := localRun{n: r.u32()}
		var ok bool
		if run.of, ok = r.valType(); !ok {
			r.bad = true
		}
		if r.bad || len(runs) > maxLocals {
			break
		}
		runs = append(runs, run)
		n = min(n+int(run.n), 1<<31) // more than any limit: it must not overflow
	}
	return runs, n
}

func (m *module) readData(r *reader) error {
	return vectorOf(r, maxData, "data segments", func() error {
		var s segment
		flags := r.u32()
		if flags > 2 {
			return errors.New("a data segment has unknown flags")
		}
		if flags == 2 && r.u32() != 0 {
			return errMemories
		}
		if s.active = flags != 1; s.active {
			at, err := m.expression(r)
			if err != nil {
				return err
			}
			s.at = at
			s.offset, s.constant = constantOffset(at)
		}
		s.bytes = r.vector()
		m.data = append(m.data, s)
		return nil
	})
}

// constantOffset gives the offset of an expression that is one i32.const.
func constantOffset(expression []byte) (offset int64, ok bool) {
	r := reader{data: expression}
	if opcode(r.byte()) != opI32Const {
		return 0, false
	}
	offset = int64(uint32(r.signed()))
	return offset, opcode(r.byte()) == opEnd && r.at == len(expression)
}

// exported finds an export by its name, -1 if there is none.
func (m *module) exported(name string, kind byte) int {
	return slices.IndexFunc(m.exports, func(e export) bool { return e.kind == kind && string(e.name) == name })
}

// typeOf gives the number of a type, adding it if there is none like it.
func (m *module) typeOf(t funcType) uint32 {
	i := slices.IndexFunc(m.types, t.equal)
	if i < 0 {
		i = len(m.types)
		m.types = append(m.types, t)
	}
	return uint32(i)
}

// add adds a function and gives its number.
func (m *module) add(t funcType, b body) uint32 {
	m.functions = append(m.functions, m.typeOf(t))
	m.bodies = append(m.bodies, b)
	return uint32(len(m.functions) - 1)
}

// checkPreamble says what is wrong with the beginning of a file that is no
// module.
func checkPreamble(data []byte) error {
	switch {
	case bytes.HasPrefix(data, preamble):
		return nil
	case bytes.HasPrefix(data, preamble[:4]):
		return errors.New("this is a WebAssembly component or an unknown version: Potluck runs core modules of version 1 (for Go: GOOS=wasip1 GOARCH=wasm)")
	default:
		return errors.New("this is not a WebAssembly module: it does not start with \\0asm")
	}
}
