package profile

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"potluck/sandbox"
)

// checkGrows has every memory.grow that fails below the maximum end the
// program. The check is one function that takes the place of the instruction.
func checkGrows(m *module, r *Report) error {
	helper, err := m.findGrow()
	if err != nil || helper < 0 && len(m.grows) == 0 {
		return err
	}
	if helper < 0 {
		flag := uint32(len(m.globals))
		m.globals = append(m.globals, growFlag())
		m.exports = append(m.exports, export{[]byte(sandbox.GrowFailed), kindGlobal, flag})
		helper = int(m.add(growType, body{})) - m.imported
		m.bodies[helper] = growBody(flag, m.memory.high)
	} else {
		m.bodies[helper] = growBody(m.exports[m.exported(sandbox.GrowFailed, kindGlobal)].index, m.memory.high)
	}
	for _, i := range m.grows {
		if i == helper {
			continue
		}
		if err := m.replaceGrows(i, uint32(m.imported+helper)); err != nil {
			return err
		}
		r.Grows++
	}
	return nil
}

var growType = funcType{[]valType{i32}, []valType{i32}}

func growFlag() global {
	return global{of: i32, mutable: 1, init: []byte{byte(opI32Const), 0, byte(opEnd)}}
}

// growBody grows the memory. If that fails below most pages it sets the flag and
// traps.
func growBody(flag, most uint32) body {
	before, after := growCode(flag)
	return body{[]localRun{{1, i32}}, slices.Concat(before, appendSigned(nil, int64(most)), after)}
}

// growCode is the code of growBody before and after the number of pages.
func growCode(flag uint32) (before, after []byte) {
	const local, block = 1, 0x40
	before = []byte{
		byte(opLocalGet), 0, byte(opMemoryGrow), 0, byte(opLocalTee), local,
		byte(opI32Const), 0x7f, byte(opI32Eq), byte(opIf), block,
		byte(opMemorySize), 0, byte(opI64ExtendI32U), byte(opLocalGet), 0, byte(opI64ExtendI32U), byte(opI64Add),
		byte(opI64Const),
	}
	after = []byte{byte(opI64LeU), byte(opIf), block, byte(opI32Const), 1}
	after = appendU32(append(after, byte(opGlobalSet)), int(flag))
	return before, append(after, byte(opUnreachable), byte(opEnd), byte(opEnd), byte(opLocalGet), local, byte(opEnd))
}

// findGrow finds the check in a module that was published before, -1 in others.
// It is known by what it does. A module that uses its name for something else is
// refused.
func (m *module) findGrow() (helper int, err error) {
	at := slices.IndexFunc(m.exports, func(e export) bool { return string(e.name) == sandbox.GrowFailed })
	if at < 0 {
		return -1, nil
	}
	errTaken := errors.New("it exports something as " + sandbox.GrowFailed + "; that name is the grid's")
	if len(m.watchers) != 1 || m.exports[at].kind != kindGlobal || int(m.exports[at].index) >= len(m.globals) {
		return -1, errTaken
	}
	flag, helper := m.exports[at].index, m.watchers[0]
	g, want := m.globals[flag], growFlag()
	before, after := growCode(flag)
	b := m.bodies[helper]
	rest, begins := bytes.CutPrefix(b.code, before)
	most, ends := bytes.CutSuffix(rest, after)
	r := reader{data: most}
	r.signed()
	switch {
	case g.of != want.of || g.mutable != want.mutable || !bytes.Equal(g.init, want.init),
		!begins || !ends || r.bad || r.at != len(most),
		!slices.Equal(b.locals, []localRun{{1, i32}}),
		!m.types[m.functions[m.imported+helper]].equal(growType):
		return -1, errTaken
	}
	return helper, nil
}

// replaceGrows replaces each memory.grow of a function by a call.
func (m *module) replaceGrows(i int, helper uint32) error {
	b := &m.bodies[i]
	r := reader{data: b.code}
	var out []byte
	var in instruction
	copied := 0
	for r.more() {
		from := r.at
		if err := r.instruction(m, &in); err != nil {
			return fmt.Errorf("function %d: %w", m.imported+i, err)
		}
		if in.opcode == opMemoryGrow {
			out = appendU32(append(append(out, b.code[copied:from]...), byte(opCall)), int(helper))
			copied = r.at
		}
	}
	b.code = append(out, b.code[copied:]...)
	return nil
}
