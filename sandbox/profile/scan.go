package profile

import (
	"fmt"
	"maps"
	"slices"

	"potluck/sandbox"
)

// The features of WebAssembly beyond its first version that a module may use,
// as people read them.
const (
	featVectors         = "SIMD"
	featBulk            = "bulk memory"
	featReferences      = "reference types"
	featMulti           = "multiple values"
	featSignExtension   = "sign extension"
	featSaturating      = "saturating conversions"
	featTail            = "tail calls"
	featExtended        = "extended constants"
	featTypedReferences = "typed function references"
)

// scan reads all code once: it refuses what no program may have, and notes
// which functions the passes have to look at.
func scan(m *module, _ *Report) error {
	m.scanTypes()
	watched := m.exported(sandbox.GrowFailed, kindGlobal)
	m.growing = map[uint32]bool{}
	for i := range m.bodies {
		if err := m.scanBody(i, watched); err != nil {
			return fmt.Errorf("function %d: %w", m.imported+i, err)
		}
	}
	return nil
}

func (m *module) scanTypes() {
	for _, t := range m.types {
		if len(t.results) > 1 {
			m.uses[featMulti] = true
		}
		for _, v := range slices.Concat(t.params, t.results) {
			m.scanType(v)
		}
	}
	for _, t := range m.tables {
		m.scanType(t.of)
	}
	for _, g := range m.globals {
		m.scanType(g.of)
	}
	if len(m.tables) > 1 {
		m.uses[featReferences] = true
	}
}

func (m *module) scanType(t valType) {
	switch byte(t) {
	case byte(v128):
		m.uses[featVectors] = true
	case byte(externref):
		m.uses[featReferences] = true
	case refNull, refTo:
		m.uses[featTypedReferences] = true
	}
}

func (m *module) scanBody(i, watched int) error {
	b := m.bodies[i]
	for _, run := range b.locals {
		m.scanType(run.of)
	}
	r := reader{data: b.code}
	var in instruction
	arithmetic, grows, watches := false, false, false
	blocks := 0
	for r.more() {
		if err := r.instruction(m, &in); err != nil {
			return err
		}
		code := in.opcode
		arithmetic = arithmetic || fresh(code) || freshVector(code) != unknown
		grows = grows || code == opMemoryGrow
		m.initialises = m.initialises || code == opMemoryInit || code == opDataDrop
		watches = watches || watched >= 0 && (code == opGlobalGet || code == opGlobalSet) && in.a == m.exports[watched].index
		if code == opTableGrow {
			m.growing[in.a] = true
		}
		if in.immediate == blockType {
			blocks++
		}
		if feature := featureOf(code); feature != "" {
			m.uses[feature] = true
		}
		if in.immediate == blockType && len(in.block.params)+max(0, len(in.block.results)-1) > 0 {
			m.uses[featMulti] = true
		}
	}
	if blocks*m.localsOf(i) > maxWeave {
		return fmt.Errorf("it has %d blocks and %d locals, which takes compilers minutes: split it, or build it with less inlining", blocks, m.localsOf(i))
	}
	for list, is := range map[*[]int]bool{&m.arithmetic: arithmetic, &m.grows: grows, &m.watchers: watches} {
		if is {
			*list = append(*list, i)
		}
	}
	return nil
}

// localsOf is how many locals a function has, its parameters among them.
func (m *module) localsOf(i int) (n int) {
	for _, run := range m.bodies[i].locals {
		n += int(run.n)
	}
	return n + len(m.types[m.functions[m.imported+i]].params)
}

// featureOf names the feature that an instruction belongs to, "" for the first
// version of WebAssembly.
func featureOf(code opcode) string {
	switch {
	case code>>16 == vectorPrefix:
		return featVectors
	case code >= misc && code < opMemoryInit:
		return featSaturating
	case code >= opMemoryInit && code <= misc|14:
		return featBulk
	case code == opTableGrow, code == misc|16, code == opTableFill, code == opTableGet, code == opTableSet,
		code >= opRefNull && code <= opRefFunc, code == opSelectTyped:
		return featReferences
	case code >= opSignExtendFirst && code <= opSignExtendLast:
		return featSignExtension
	case code == opReturnCall, code == opReturnCallIndirect:
		return featTail
	case code == opCallRef, code == opReturnCallRef, code >= opRefAsNonNull && code <= opBrOnNonNull:
		return featTypedReferences
	}
	return ""
}

func (m *module) features() []string { return slices.Sorted(maps.Keys(m.uses)) }
