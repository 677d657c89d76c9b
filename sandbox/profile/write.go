package profile

import "fmt"

// write writes a module. What is written and read again is the same: passes
// that change nothing leave every byte as it was.
func (m *module) write() []byte {
	out := append([]byte(nil), preamble...)
	for _, s := range []struct {
		id   byte
		n    int
		each func(dst []byte, i int) []byte
	}{
		{secType, len(m.types), func(dst []byte, i int) []byte { return m.types[i].append(dst) }},
		{secImport, -1, nil},
		{secFunction, len(m.functions) - m.imported, func(dst []byte, i int) []byte { return appendU32(dst, int(m.functions[m.imported+i])) }},
		{secTable, len(m.tables), func(dst []byte, i int) []byte { return m.tables[i].append(dst) }},
		{secMemory, m.memories, func(dst []byte, _ int) []byte { return m.memory.append(dst) }},
		{secGlobal, len(m.globals), func(dst []byte, i int) []byte { return m.globals[i].append(dst) }},
		{secExport, len(m.exports), func(dst []byte, i int) []byte { return m.exports[i].append(dst) }},
		{secElement, -1, nil},
		{secCode, len(m.bodies), func(dst []byte, i int) []byte { return m.bodies[i].append(dst) }},
		{secData, len(m.data), func(dst []byte, i int) []byte { return m.data[i].append(dst) }},
	} {
		if s.id == secCode && m.count {
			out = appendSection(out, secCount, appendU32(nil, len(m.data)))
		}
		switch raw := m.raw[s.id]; {
		case s.n > 0:
			body := appendU32(nil, s.n)
			for i := range s.n {
				body = s.each(body, i)
			}
			out = appendSection(out, s.id, body)
		case len(raw) > 0:
			out = appendSection(out, s.id, raw)
		}
	}
	return appendSection(out, secCustom, append(appendVector(nil, []byte(markerName)), fmt.Sprintf("profile %d", Number)...))
}

func appendSection(dst []byte, id byte, body []byte) []byte {
	return appendVector(append(dst, id), body)
}

func (l limits) append(dst []byte) []byte {
	if !l.capped {
		return appendU32(append(dst, 0), int(l.low))
	}
	return appendU32(appendU32(append(dst, limitMax), int(l.low)), int(l.high))
}

func (t table) append(dst []byte) []byte {
	if t.init != nil {
		dst = append(dst, 0x40, 0)
	}
	dst = t.limits.append(t.of.append(dst))
	return append(dst, t.init...)
}

func (g global) append(dst []byte) []byte {
	return append(append(g.of.append(dst), g.mutable), g.init...)
}

func (e export) append(dst []byte) []byte {
	return appendU32(append(appendVector(dst, e.name), e.kind), int(e.index))
}

func (b body) append(dst []byte) []byte {
	head := appendU32(nil, len(b.locals))
	for _, run := range b.locals {
		head = run.of.append(appendU32(head, int(run.n)))
	}
	dst = appendU32(dst, len(head)+len(b.code))
	return append(append(dst, head...), b.code...)
}

func (s segment) append(dst []byte) []byte {
	if !s.active {
		return appendVector(append(dst, 1), s.bytes)
	}
	return appendVector(append(append(dst, 0), s.at...), s.bytes)
}
