package profile

import "potluck/sandbox"

// FirstID gives the id that a module had under the first profile, which wrote
// nothing but the memory's maximum: approvals of that time name it. It is "" for
// what is no module.
func FirstID(source []byte, memory int) sandbox.ID {
	if checkPreamble(source) != nil {
		return ""
	}
	out := append([]byte(nil), preamble...)
	r := reader{data: source, at: len(preamble)}
	for r.more() {
		from := r.at
		id, body := r.byte(), reader{data: r.vector()}
		if id != secMemory {
			out = append(out, source[from:r.at]...)
			continue
		}
		body.u32() // the number of memories, which is one
		l, err := body.limits()
		if err != nil || body.bad {
			return ""
		}
		if most := uint32(memory / pageSize); !l.capped || l.high > most {
			l.capped, l.high = true, most
		}
		out = appendSection(out, secMemory, l.append([]byte{1}))
	}
	if r.bad {
		return ""
	}
	return sandbox.Hash(out)
}
