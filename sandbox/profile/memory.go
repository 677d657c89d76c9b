package profile

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"potluck/sandbox"
)

// capTables writes a maximum into every table: engines stop at different
// sizes, and a program can see where. A table that is never grown stays as large
// as it is.
func capTables(m *module, r *Report) error {
	for i := range m.tables {
		t := &m.tables[i]
		if t.low > maxTable {
			return fmt.Errorf("a table has %d entries from the start; at most %d are allowed", t.low, maxTable)
		}
		switch {
		case !m.growing[uint32(i)]:
			t.high = t.low
		case !t.capped || t.high > maxTable:
			t.high = maxTable
		}
		t.capped = true
		r.Tables += int(t.high)
	}
	return nil
}

// capMemory writes the maximum into the memory section, the one way to cap
// memory that every engine honours. What tables and globals may take is
// subtracted first, so all that a program can take is under the cap.
func capMemory(m *module, r *Report) error {
	if m.memories == 0 {
		return errors.New("the module defines no memory; a WASI command defines one and exports it")
	}
	aside := (r.Tables+m.elements)*tableEntry + m.ownGlobals()*globalSize
	if aside > r.Memory/2 {
		return fmt.Errorf("its tables and globals may take %d MiB; at most %d MiB are allowed", aside>>20, r.Memory>>21)
	}
	most := uint32((r.Memory - aside) / pageSize)
	if m.memory.capped {
		most = min(most, m.memory.high)
	}
	if m.memory.low > most {
		return fmt.Errorf("it asks for %d MiB of memory at the start; at most %d MiB are allowed", m.memory.low>>4, most>>4)
	}
	m.memory.capped, m.memory.high = true, most
	r.Memory = int(most) * pageSize
	return nil
}

// Widen gives a module that was published with a limit on its memory a higher one,
// if that limit is what bounds it, and not its own maximum.
func Widen(published []byte, from, to int) (Published, error) {
	m, err := read(published)
	if err != nil {
		return Published{}, err
	}
	bounded := Report{Memory: from}
	own := m.memory.high
	m.memory.capped = false
	for _, pass := range []pass{scan, capTables, capMemory} {
		if err := pass(m, &bounded); err != nil {
			return Published{}, err
		}
	}
	if own != m.memory.high {
		return Published{Module: published, ID: sandbox.Hash(published)}, nil
	}
	return publish(published, to, []pass{func(m *module, _ *Report) error { m.memory.capped = false; return nil }, scan, checkExports, capTables, capMemory, checkGrows})
}

// ownGlobals is how many globals a module has of its own.
func (m *module) ownGlobals() int {
	if m.exported(sandbox.GrowFailed, kindGlobal) >= 0 {
		return len(m.globals) - 1
	}
	return len(m.globals)
}

// checkExports asks for what WASI asks of a command.
func checkExports(m *module, _ *Report) error {
	start := m.exported("_start", kindFunction)
	switch {
	case start < 0:
		return errors.New("the module exports no function _start: build it as a WASI command, not as a library or reactor")
	case m.exported("memory", kindMemory) < 0:
		return errors.New("the module does not export its memory under the name memory, as WASI asks")
	case int(m.exports[start].index) >= len(m.functions):
		return errors.New("the module exports a function _start that is not there")
	}
	if t := m.types[m.functions[m.exports[start].index]]; len(t.params)+len(t.results) > 0 {
		return errors.New("its _start has parameters or results; a WASI command has neither")
	}
	return nil
}

// foldStart has the start section's function called by _start: an engine runs
// the section while it instantiates the module, and in a browser nothing can
// answer calls of WASI then.
func foldStart(m *module, r *Report) error {
	if m.start < 0 {
		return nil
	}
	if t := m.types[m.functions[m.start]]; len(t.params)+len(t.results) > 0 {
		return errors.New("the function of its start section has parameters or results")
	}
	e := &m.exports[m.exported("_start", kindFunction)]
	code := appendU32([]byte{byte(opCall)}, m.start)
	code = appendU32(append(code, byte(opCall)), int(e.index))
	e.index = m.add(funcType{}, body{code: append(code, byte(opEnd))})
	m.start, r.Start = -1, true
	return nil
}

// mergeGap is how many bytes two neighbouring data segments may lie apart to
// become one: a segment costs an engine more than so many zeros.
const mergeGap = 64

// mergeData merges neighbouring data segments: a Go program has forty thousand.
// It leaves them alone unless all are copied once, when the module is
// instantiated, to places that are known and do not overlap; then their order
// makes no difference.
func mergeData(m *module, r *Report) error {
	if m.initialises {
		return nil
	}
	m.count = false
	sorted := slices.SortedStableFunc(slices.Values(m.data), func(a, b segment) int { return cmp.Compare(a.offset, b.offset) })
	end := int64(0)
	for _, s := range sorted {
		if !s.active || !s.constant || s.offset < end {
			return nil
		}
		end = s.offset + int64(len(s.bytes))
	}
	if end > int64(m.memory.low)*pageSize { // it traps, and where is for the engine to say
		return nil
	}
	merged := merge(sorted)
	r.Merged = len(m.data) - len(merged)
	m.data = merged
	return nil
}

// merge makes one segment of those that lie less than mergeGap apart.
func merge(sorted []segment) (merged []segment) {
	for _, s := range sorted {
		if n := len(merged); n > 0 {
			last := &merged[n-1]
			if gap := s.offset - last.offset - int64(len(last.bytes)); gap < mergeGap {
				last.bytes = append(append(last.bytes, make([]byte, gap)...), s.bytes...)
				continue
			}
		}
		s.bytes = slices.Clone(s.bytes) // it grows
		merged = append(merged, s)
	}
	return merged
}
