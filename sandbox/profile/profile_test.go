package profile

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"potluck/sandbox"
	"potluck/sandbox/wasmtest"
)

const memoryCap = 64 << 20

// command is a module with one function, _start, that has the given types of
// locals and code. change may add to it.
func command(change func(*module), locals []valType, code ...any) []byte {
	m := &module{
		raw: map[byte][]byte{}, start: -1, memories: 1, memory: limits{low: 1},
		exports: []export{{[]byte("memory"), kindMemory, 0}, {[]byte("_start"), kindFunction, 0}},
	}
	b := body{code: append(join(code...), byte(opEnd))}
	for _, l := range locals {
		b.locals = append(b.locals, localRun{1, l})
	}
	m.add(funcType{}, b)
	if change != nil {
		change(m)
	}
	return m.write()
}

// join makes code of opcodes, small numbers and bytes.
func join(parts ...any) (code []byte) {
	for _, p := range parts {
		switch p := p.(type) {
		case opcode:
			code = appendOp(code, p)
		case int:
			code = append(code, byte(p))
		case valType:
			code = append(code, byte(p))
		case []byte:
			code = append(code, p...)
		default:
			panic("code is opcodes, small numbers and bytes")
		}
	}
	return code
}

func TestPublishRefuses(t *testing.T) {
	echo := wasmtest.Echo()
	tableOf := func(low uint32) func(*module) {
		return func(m *module) { m.tables = []table{{of: funcref, limits: limits{low: low}}} }
	}
	for name, c := range map[string]struct {
		module []byte
		want   string
	}{
		"a script":             {[]byte("#!/bin/sh"), "not a WebAssembly module"},
		"nothing":              {nil, "not a WebAssembly module"},
		"a component":          {[]byte("\x00asm\x0d\x00\x01\x00"), "component"},
		"a module cut short":   {echo[:len(echo)-20], "cut short"},
		"no start":             {[]byte("\x00asm\x01\x00\x00\x00\x05\x03\x01\x00\x01"), "_start"},
		"no memory":            {[]byte("\x00asm\x01\x00\x00\x00"), "no function _start"},
		"a shared memory":      {[]byte("\x00asm\x01\x00\x00\x00\x05\x04\x01\x03\x01\x02"), "threads"},
		"a 64-bit memory":      {[]byte("\x00asm\x01\x00\x00\x00\x05\x03\x01\x04\x01"), "64-bit"},
		"much memory":          {wasmtest.Module(2000, byte(0x0b)), "125 MiB"},
		"a host's function":    {wasmtest.Import("env", "launch_missiles"), "env.launch_missiles"},
		"a function of Go's":   {wasmtest.Import("gojs", "syscall/js.valueGet"), "gojs.syscall/js.valueGet"},
		"too large":            {make([]byte, sandbox.MaxModule+1), "bytes; at most"},
		"parameters of _start": {command(func(m *module) { m.types[0].params = []valType{i32} }, nil), "_start has parameters"},
		"many locals":          {command(func(m *module) { m.bodies[0].locals = []localRun{{maxLocals + 1, i32}} }, nil), "50000 are allowed"},
		"many parameters":      {command(func(m *module) { m.typeOf(funcType{params: slices.Repeat([]valType{i32}, maxParams+1)}) }, nil), "1000 are allowed"},
		"blocks times locals": {
			command(func(m *module) { m.bodies[0].locals = []localRun{{maxLocals, i32}} }, nil, bytes.Repeat(join(opBlock, 0x40, opEnd), maxWeave/maxLocals+1)), "takes compilers minutes",
		},
		"a large br_table":       {command(nil, nil, opBrTable, appendU32(nil, maxBrTable+1)), "br_table"},
		"a large function":       {command(nil, nil, bytes.Repeat([]byte{1}, maxBody)), "bytes in one function"},
		"a large table":          {command(tableOf(maxTable+1), nil), "a table has 262145 entries"},
		"many tables":            {command(func(m *module) { m.tables = slices.Repeat([]table{{of: funcref}}, maxTables+1) }, nil), "65 tables"},
		"tables of much memory":  {command(func(m *module) { m.tables = slices.Repeat([]table{{of: funcref, limits: limits{low: maxTable}}}, 9) }, nil), "tables and globals may take"},
		"exceptions":             {command(nil, nil, 0x06, 0x40), "exceptions"},
		"an exception's tag":     {[]byte("\x00asm\x01\x00\x00\x00\x0d\x01\x00"), "exceptions"},
		"atomics":                {command(nil, nil, 0xfe, 0x03, 0), "threads"},
		"garbage collection":     {command(nil, nil, 0xfb, 0x00, 0), "garbage collected"},
		"relaxed SIMD":           {command(nil, nil, 0xfd, 0x80, 0x02), "relaxed SIMD"},
		"a second memory":        {command(nil, nil, opI32Const, 0, 0x28, 0x42, 1, 0, opDrop), "second memory"},
		"an unknown instruction": {command(nil, nil, 0x27), "unknown instruction"},
		"the grid's own export": {command(func(m *module) {
			m.globals = []global{growFlag()}
			m.exports = append(m.exports, export{[]byte(sandbox.GrowFailed), kindGlobal, 0})
		}, nil), "that name is the grid's"},
		"code that is not valid": {command(nil, []valType{f64}, opF64Promote, opDrop), "not valid"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Publish(c.module, memoryCap); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
}

// modules are modules of all kinds.
func modules(t testing.TB) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for _, c := range wasmtest.Cases() {
		all["case "+c.Name] = c.Module
	}
	for _, p := range wasmtest.Probes() {
		all["probe "+p.Name] = p.Module
	}
	for name, c := range nanCases {
		all["NaN: "+name] = command(c.change, c.locals, c.code...)
	}
	files, err := filepath.Glob("testdata/modules/*.wasm")
	if err != nil || len(files) == 0 {
		t.Fatalf("the modules are missing: %v", err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(f)] = data
	}
	return all
}

func TestPublishingWhatWasPublishedChangesNothing(t *testing.T) {
	for name, source := range modules(t) {
		t.Run(name, func(t *testing.T) {
			once, err := Publish(source, memoryCap)
			if err != nil {
				if name != "startparam.wasm" {
					t.Error(err)
				}
				return
			}
			twice, err := Publish(once.Module, memoryCap)
			if err != nil || !bytes.Equal(once.Module, twice.Module) {
				t.Fatalf("%x became %x, %v", once.Module, twice.Module, err)
			}
			if r := twice.Report; r.Canonical+r.Grows+r.Merged > 0 || r.Start {
				t.Errorf("it found work the second time: %+v", r)
			}
		})
	}
}

func TestAnotherCapMovesTheMaximumAlone(t *testing.T) {
	large, err := Publish(wasmtest.Hog(), memoryCap)
	if err != nil {
		t.Fatal(err)
	}
	small, err := Publish(large.Module, memoryCap/2)
	if err != nil {
		t.Fatal(err)
	}
	direct, err := Publish(wasmtest.Hog(), memoryCap/2)
	if err != nil || !bytes.Equal(small.Module, direct.Module) {
		t.Errorf("%x, want %x, %v", small.Module, direct.Module, err)
	}
}

func TestStartSectionBecomesPartOfStart(t *testing.T) {
	source := command(func(m *module) { m.raw[secElement] = nil }, nil)
	// A start section stands between the exports and the code.
	at := bytes.Index(source, []byte{secCode, 4})
	source = slices.Insert(source, at, secStart, 1, 0)
	p, err := Publish(source, memoryCap)
	if err != nil || !p.Report.Start {
		t.Fatalf("%+v, %v", p.Report, err)
	}
	m, err := read(p.Module)
	if err != nil {
		t.Fatal(err)
	}
	if start := m.exports[m.exported("_start", kindFunction)].index; start != 1 || m.start >= 0 {
		t.Errorf("_start is function %d, the start section %d", start, m.start)
	}
	if want := join(opCall, 0, opCall, 0, opEnd); !bytes.Equal(m.bodies[1].code, want) {
		t.Errorf("it does %x, want %x", m.bodies[1].code, want)
	}
}

func TestTablesAreBoundedAndCounted(t *testing.T) {
	grown := join(opRefNull, 0x70, opI32Const, 1, opTableGrow, 0, opDrop)
	for name, c := range map[string]struct {
		code []byte
		have limits
		want uint32
	}{
		"never grown":          {nil, limits{low: 7}, 7},
		"never grown, bounded": {nil, limits{7, 1 << 30, true}, 7},
		"grown":                {grown, limits{low: 7}, maxTable},
		"grown, bounded":       {grown, limits{7, 9, true}, 9},
		"grown, large":         {grown, limits{7, 1 << 30, true}, maxTable},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Publish(command(func(m *module) { m.tables = []table{{of: funcref, limits: c.have}} }, nil, c.code), memoryCap)
			if err != nil {
				t.Fatal(err)
			}
			m, err := read(p.Module)
			if err != nil {
				t.Fatal(err)
			}
			if got := m.tables[0].limits; got != (limits{7, c.want, true}) {
				t.Errorf("the table is %v, want 7 to %d", got, c.want)
			}
			if most := (memoryCap - int(c.want)*tableEntry) / pageSize; int(m.memory.high) != most {
				t.Errorf("%d pages of memory beside it, want %d", m.memory.high, most)
			}
		})
	}
}

func TestDataSegmentsAreMergedWhereThatChangesNothing(t *testing.T) {
	at := func(offset int64, bytes string) segment {
		code := append(appendSigned([]byte{byte(opI32Const)}, offset), byte(opEnd))
		return segment{active: true, constant: true, offset: offset, at: code, bytes: []byte(bytes)}
	}
	passive := segment{bytes: []byte("later")}
	for name, c := range map[string]struct {
		code []byte
		data []segment
		want []string // nil: as they are
	}{
		"neighbours":      {nil, []segment{at(10, "ab"), at(12, "cd"), at(20, "ef")}, []string{"abcd\x00\x00\x00\x00\x00\x00ef"}},
		"far apart":       {nil, []segment{at(10, "ab"), at(76, "cd")}, nil},
		"out of order":    {nil, []segment{at(12, "cd"), at(10, "ab")}, []string{"abcd"}},
		"overlapping":     {nil, []segment{at(10, "abc"), at(12, "cd")}, nil},
		"past the memory": {nil, []segment{at(0, "ab"), at(pageSize-1, "cd")}, nil},
		"one is passive":  {nil, []segment{at(10, "ab"), at(12, "cd"), passive}, nil},
		"used later":      {join(opI32Const, 0, opI32Const, 0, opI32Const, 0, opMemoryInit, 0, 0), []segment{at(10, "ab"), at(12, "cd")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Publish(command(func(m *module) { m.data, m.count = c.data, true }, nil, c.code), memoryCap)
			if err != nil {
				t.Fatal(err)
			}
			m, err := read(p.Module)
			if err != nil {
				t.Fatal(err)
			}
			var got, want []string
			for _, s := range m.data {
				got = append(got, string(s.bytes))
			}
			if want = c.want; want == nil {
				for _, s := range c.data {
					want = append(want, string(s.bytes))
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestFailedGrowIsCheckedInOnePlace(t *testing.T) {
	grow := join(opI32Const, 1, opMemoryGrow, 0, opDrop)
	p, err := Publish(command(nil, nil, grow, grow), memoryCap)
	if err != nil {
		t.Fatal(err)
	}
	m, err := read(p.Module)
	if err != nil {
		t.Fatal(err)
	}
	call := join(opI32Const, 1, opCall, 1, opDrop)
	if got, want := m.bodies[0].code, join(call, call, opEnd); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
	if m.exported(sandbox.GrowFailed, kindGlobal) < 0 || p.Report.Grows != 1 {
		t.Errorf("exports %v, report %+v", m.exports, p.Report)
	}
}

func TestForgedMarkIsWorthNothing(t *testing.T) {
	c := nanCases["stored"]
	source := command(c.change, c.locals, c.code...)
	forged := appendSection(bytes.Clone(source), secCustom, append(appendVector(nil, []byte(markerName)), "profile 2"...))
	one, err := Publish(source, memoryCap)
	if err != nil {
		t.Fatal(err)
	}
	two, err := Publish(forged, memoryCap)
	if err != nil || !bytes.Equal(one.Module, two.Module) || two.Report.Canonical == 0 {
		t.Errorf("the mark made a difference: %+v, %v", two.Report, err)
	}
}

func FuzzPublish(f *testing.F) {
	for _, source := range modules(f) {
		f.Add(source)
	}
	f.Add(wasmtest.Import("env", "f"))
	f.Fuzz(func(t *testing.T, source []byte) {
		once, err := Publish(source, memoryCap)
		if err != nil {
			return
		}
		if twice, err := Publish(once.Module, memoryCap); err != nil || !bytes.Equal(once.Module, twice.Module) {
			t.Fatalf("publishing again: %x, %v; want %x", twice.Module, err, once.Module)
		}
	})
}
