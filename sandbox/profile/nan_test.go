package profile

import (
	"bytes"
	"testing"
)

// Pieces of code for the cases.
var (
	load64  = join(opI32Const, 0, 0x2b, 3, 0)        // f64.load
	store64 = join(opF64Store, 3, 0)                 // after an address and a value
	add64   = join(load64, load64, 0xa0)             // a fresh value
	vecLoad = join(opI32Const, 0, vector, 4, 0)      // v128.load
	vecAdd  = join(vecLoad, vecLoad, vector|240)     // f64x2.add
	zero32  = join(opI32Const, 0)                    //
	drop    = join(opDrop)                           //
	takesF  = funcType{params: []valType{f64, i32}}  // a function with a float below an integer
	givesF  = funcType{results: []valType{f64, f64}} //
)

// A nanCase is code, and in how many places something must be made canonical.
type nanCase struct {
	change func(*module)
	locals []valType
	code   []any
	places int
}

// with adds a function of a type, number 1, that does nothing of use.
func with(t funcType, code ...any) func(*module) {
	return func(m *module) { m.add(t, body{code: append(join(code...), byte(opEnd))}) }
}

var nanCases = map[string]nanCase{
	"stored":                  {code: []any{zero32, add64, store64}, places: 1},
	"moved":                   {code: []any{zero32, load64, store64}},
	"moved by a local":        {locals: []valType{f64}, code: []any{load64, opLocalSet, 0, zero32, opLocalGet, 0, store64}},
	"fresh in a local":        {locals: []valType{f64}, code: []any{add64, opLocalSet, 0, zero32, opLocalGet, 0, store64}, places: 1},
	"a local used again":      {locals: []valType{f64}, code: []any{add64, opLocalSet, 0, load64, opLocalSet, 0, zero32, opLocalGet, 0, store64}},
	"reinterpreted":           {code: []any{add64, opI64Reinterpret, drop}, places: 1},
	"its sign is copied":      {code: []any{load64, add64, opF64Copysign, drop}, places: 1},
	"it gets a sign":          {code: []any{add64, load64, opF64Copysign, drop}},
	"fresh with a sign":       {code: []any{zero32, add64, load64, opF64Copysign, store64}, places: 1},
	"negated":                 {code: []any{zero32, add64, opF64Neg, store64}, places: 1},
	"moved and negated":       {code: []any{zero32, load64, opF64Neg, store64}},
	"compared":                {code: []any{add64, add64, opF64Ge, drop}},
	"converted":               {code: []any{zero32, zero32, 0xb7, store64}}, // f64.convert_i32_s is never a NaN
	"promoted":                {code: []any{zero32, opI32Const, 0, 0x2a, 2, 0, opF64Promote, store64}, places: 1},
	"selected":                {code: []any{zero32, add64, load64, zero32, opSelect, store64}, places: 1},
	"in a vector":             {code: []any{add64, opF64x2Splat, drop}, places: 1},
	"in a lane":               {code: []any{vecLoad, add64, opF64x2Replace, 0, drop}, places: 1},
	"a vector":                {code: []any{vecAdd, drop}, places: 1},
	"a vector is moved":       {code: []any{zero32, vecLoad, opcode(vector | 11), 4, 0}},
	"an argument":             {change: with(takesF), code: []any{add64, zero32, opCall, 1}, places: 1},
	"a moved argument":        {change: with(takesF), code: []any{load64, zero32, opCall, 1}},
	"results":                 {change: with(givesF, add64, add64), code: []any{opCall, 1, drop, drop}, places: 2},
	"returned":                {change: with(givesF, add64, add64, opReturn), code: []any{opCall, 1, drop, drop}, places: 2},
	"branched out":            {change: with(givesF, add64, add64, zero32, opBrIf, 0), code: []any{opCall, 1, drop, drop}, places: 2},
	"results of a call":       {change: with(givesF, load64, load64), code: []any{opCall, 1, drop, drop}},
	"in dead code":            {code: []any{opUnreachable, add64, drop}},
	"a block's result":        {code: []any{zero32, opBlock, f64, add64, opEnd, store64}, places: 1},
	"one of two branches":     {code: []any{zero32, zero32, opIf, f64, add64, opElse, load64, opEnd, store64}, places: 1},
	"none of two branches":    {code: []any{zero32, zero32, opIf, f64, load64, opElse, load64, opEnd, store64}},
	"a branch to the end":     {code: []any{zero32, opBlock, f64, add64, zero32, opBrIf, 0, drop, load64, opEnd, store64}, places: 1},
	"an if without an else":   {locals: []valType{f64}, code: []any{zero32, opIf, 0x40, add64, opLocalSet, 0, opEnd, zero32, opLocalGet, 0, store64}, places: 1},
	"the next turn of a loop": {locals: []valType{f64}, code: []any{opLoop, 0x40, zero32, opLocalGet, 0, store64, add64, opLocalSet, 0, zero32, opBrIf, 0, opEnd}, places: 1},
	"the second next turn": {
		locals: []valType{f64, f64},
		code: []any{
			opLoop, 0x40, zero32, opLocalGet, 0, store64, opLocalGet, 1, opLocalSet, 0, add64, opLocalSet, 1, zero32, opBrIf, 0, opEnd,
		}, places: 1,
	},
	"a turn that moves": {locals: []valType{f64}, code: []any{opLoop, 0x40, zero32, opLocalGet, 0, store64, load64, opLocalSet, 0, zero32, opBrIf, 0, opEnd, add64, drop}},
	"a global": {
		change: func(m *module) {
			m.globals = []global{{of: f64, mutable: 1, init: append(join(nan64), byte(opEnd))}}
		},
		code: []any{add64, opGlobalSet, 0, zero32, opGlobalGet, 0, store64}, places: 1,
	},
}

func TestNaNsAreCanonicalWhereTheyShowAndOnlyThere(t *testing.T) {
	for name, c := range nanCases {
		t.Run(name, func(t *testing.T) {
			p, err := Publish(command(c.change, c.locals, c.code...), memoryCap)
			if err != nil {
				t.Fatal(err)
			}
			if p.Report.Canonical != c.places {
				t.Errorf("%d places, want %d", p.Report.Canonical, c.places)
			}
		})
	}
}

func TestCanonicalFormOfAStore(t *testing.T) {
	p, err := Publish(command(nil, []valType{i32}, zero32, add64, store64), memoryCap)
	if err != nil {
		t.Fatal(err)
	}
	m, err := read(p.Module)
	if err != nil {
		t.Fatal(err)
	}
	want := join(zero32, add64, opLocalTee, 1, nan64, opLocalGet, 1, opLocalGet, 1, opF64Ge, opSelect, store64, opEnd)
	if got := m.bodies[0].code; !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

func TestCodeWithoutFloatsStaysAsItIs(t *testing.T) {
	source := command(nil, []valType{i32}, zero32, opLocalSet, 0)
	p, err := Publish(source, memoryCap)
	if err != nil {
		t.Fatal(err)
	}
	before, err := read(source)
	if err != nil {
		t.Fatal(err)
	}
	after, err := read(p.Module)
	if err != nil || !bytes.Equal(before.bodies[0].append(nil), after.bodies[0].append(nil)) {
		t.Errorf("%x became %x, %v", before.bodies, after.bodies, err)
	}
}

// A function with many locals and loops would take a scan for each of them.
func TestIntricateFunctionEndsSoon(t *testing.T) {
	const loops = maxWeave/(maxLocals/2) - 1
	locals := make([]valType, maxLocals/2)
	for i := range locals {
		locals[i] = f64
	}
	code := join(add64, opLocalSet, 0)
	for range loops {
		code = append(code, join(opLoop, 0x40)...)
	}
	for i := range len(locals) - 1 { // each turn moves the fresh value one local on
		from := len(locals) - 2 - i
		code = appendLocal(appendLocal(code, opLocalGet, uint32(from)), opLocalSet, uint32(from+1))
	}
	for range loops {
		code = append(code, join(zero32, opBrIf, 0, opEnd)...)
	}
	_, err := Publish(command(nil, locals, code), memoryCap)
	if err == nil || !bytes.Contains([]byte(err.Error()), []byte("intricate")) {
		t.Errorf("got %v", err)
	}
}
