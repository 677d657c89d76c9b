package sandbox

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The sections and kinds of the binary format that Publish looks at:
// WebAssembly Core Specification 2.0, section 5.5.
const (
	sectionImport = 2
	sectionMemory = 5
	sectionExport = 7

	kindFunction = 0
	kindMemory   = 2

	limitMax    = 0x01
	limitShared = 0x02
	limitWide   = 0x04

	pageSize = 64 << 10
)

// WASI is the only module that a program may import from.
const WASI = "wasi_snapshot_preview1"

var preamble = []byte("\x00asm\x01\x00\x00\x00")

// Publish checks a module and caps its memory: the maximum of at most
// maxMemory bytes is written into its memory section, the one way to cap it
// that every engine honours. The bytes it returns are the ones the grid runs
// and names. Publishing twice changes nothing.
func Publish(module []byte, maxMemory int) ([]byte, error) {
	if len(module) > MaxModule {
		return nil, fmt.Errorf("the module has %d bytes; at most %d are allowed", len(module), MaxModule)
	}
	if !bytes.HasPrefix(module, preamble) {
		if bytes.HasPrefix(module, preamble[:4]) {
			return nil, errors.New("this is a WebAssembly component or an unknown version: Potluck runs core modules of version 1 (for Go: GOOS=wasip1 GOARCH=wasm)")
		}
		return nil, errors.New("this is not a WebAssembly module: it does not start with \\0asm")
	}
	p := publisher{out: slices.Clone(preamble), maxPages: uint64(maxMemory / pageSize)}
	r := reader{data: module, at: len(preamble)}
	for r.at < len(r.data) {
		if err := p.section(&r); err != nil {
			return nil, err
		}
	}
	return p.out, p.complete()
}

// publisher copies a module section by section.
type publisher struct {
	out                         []byte
	maxPages                    uint64
	memory, start, memoryExport bool
}

func (p *publisher) section(r *reader) error {
	from := r.at
	id := r.byte()
	body := r.bytes(r.uvarint())
	if r.bad {
		return fmt.Errorf("the module is cut short or damaged at byte %d", from)
	}
	s := reader{data: body}
	var err error
	switch id {
	case sectionImport:
		err = checkImports(&s)
	case sectionMemory:
		var capped []byte
		if capped, err = p.capMemory(&s); err == nil {
			p.out = append(p.out, sectionMemory)
			p.out = appendVector(p.out, capped)
			return nil
		}
	case sectionExport:
		p.readExports(&s)
	}
	if err == nil && s.bad {
		err = errors.New("it is cut short or damaged")
	}
	if err != nil {
		return fmt.Errorf("section %d of the module at byte %d: %w", id, from, err)
	}
	p.out = append(p.out, r.data[from:r.at]...)
	return nil
}

// appendVector appends a vector of bytes: their number, then they themselves.
func appendVector(dst, body []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(body)))
	return append(dst, body...)
}

func checkImports(s *reader) error {
	var refused []string
	for range s.uvarint() {
		module, name := string(s.bytes(s.uvarint())), string(s.bytes(s.uvarint()))
		kind := s.byte()
		if s.bad {
			return errors.New("it is cut short or damaged")
		}
		if kind != kindFunction || module != WASI {
			refused = append(refused, module+"."+name)
			if kind != kindFunction {
				break // what follows depends on the kind; one name is enough
			}
		}
		s.uvarint()
	}
	if len(refused) > 0 {
		return fmt.Errorf("it imports %s; a program may import functions of %s only", strings.Join(refused, ", "), WASI)
	}
	return nil
}

func (p *publisher) capMemory(s *reader) ([]byte, error) {
	if n := s.uvarint(); n != 1 {
		return nil, fmt.Errorf("it has %d memories; a program has exactly one", n)
	}
	flags := s.byte()
	if flags&limitShared != 0 {
		return nil, errors.New("its memory is shared between threads; threads are not deterministic and not allowed")
	}
	if flags&limitWide != 0 {
		return nil, errors.New("its memory has 64-bit addresses; Potluck runs 32-bit modules")
	}
	low, high := s.uvarint(), p.maxPages
	if flags&limitMax != 0 {
		high = min(high, s.uvarint())
	}
	if s.bad {
		return nil, errors.New("it is cut short or damaged")
	}
	if low > high {
		return nil, fmt.Errorf("it asks for %d MiB of memory at the start; at most %d MiB are allowed", low*pageSize>>20, high*pageSize>>20)
	}
	p.memory = true
	body := binary.AppendUvarint([]byte{1, limitMax}, low)
	return binary.AppendUvarint(body, high), nil
}

func (p *publisher) readExports(s *reader) {
	for range s.uvarint() {
		name, kind := string(s.bytes(s.uvarint())), s.byte()
		s.uvarint()
		if s.bad {
			return
		}
		p.start = p.start || name == "_start" && kind == kindFunction
		p.memoryExport = p.memoryExport || name == "memory" && kind == kindMemory
	}
}

func (p *publisher) complete() error {
	switch {
	case !p.memory:
		return errors.New("the module defines no memory; a WASI command defines one and exports it")
	case !p.start:
		return errors.New("the module exports no function _start: build it as a WASI command, not as a library or reactor")
	case !p.memoryExport:
		return errors.New("the module does not export its memory under the name memory, as WASI asks")
	}
	return nil
}

// reader reads the binary format; after a read past the end bad is set and
// everything reads as zero.
type reader struct {
	data []byte
	at   int
	bad  bool
}

func (r *reader) byte() byte {
	if b := r.bytes(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (r *reader) bytes(n uint64) []byte {
	if r.bad || n > uint64(len(r.data)-r.at) {
		r.bad = true
		return nil
	}
	b := r.data[r.at : r.at+int(n)]
	r.at += int(n)
	return b
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.data[r.at:])
	if n <= 0 || v > 1<<32 {
		r.bad = true
	}
	if r.bad {
		return 0
	}
	r.at += n
	return v
}
