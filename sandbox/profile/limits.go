package profile

import (
	"errors"
	"fmt"
)

// What every engine compiles. Most are the implementation limits of the
// WebAssembly JavaScript Interface (section 6.4), which browsers keep to; some
// are smaller, so that what a module takes before it runs stays small.
const (
	maxTypes     = 1_000_000
	maxFunctions = 1_000_000
	maxExports   = 100_000
	maxGlobals   = 100_000
	maxData      = 100_000
	maxElements  = 100_000
	maxTables    = 64
	maxParams    = 1_000
	maxResults   = 1_000
	maxLocals    = 50_000 // of one function, parameters among them
	allLocals    = 10_000_000
	maxBrTable   = 65_520
	maxBody      = 7_654_321 // bytes of one function
	maxWeave     = 1 << 26   // locals times blocks of one function: compilers follow each local through each block
	maxTable     = 1 << 18   // entries of one table; browsers stop at 10,000,000
	tableEntry   = 32        // bytes that an entry of a table is taken to need
	globalSize   = 32        // bytes that a global is taken to need
)

var (
	errMemories  = errors.New("it uses a second memory, or one with 64-bit addresses; a program has one 32-bit memory")
	errValueType = errors.New("it has a value type of a proposal that Potluck does not run, like garbage collection or exceptions")
)

// tooMany says that there are more of a kind than every engine takes.
func tooMany(n, most int, what string) error {
	if n <= most {
		return nil
	}
	return fmt.Errorf("it has %d %s; at most %d are allowed, since not every engine takes more", n, what, most)
}

// refuseOpcode says why a program may not have an instruction.
func refuseOpcode(code opcode, at int, short bool) error {
	switch {
	case short:
		return fmt.Errorf("it is cut short or damaged at byte %d", at)
	case code >= 0x06 && code <= 0x0a || code == 0x18 || code == 0x19 || code == 0x1f:
		return errExceptions
	case code == 0xfb || code == 0xd3:
		return errors.New("it uses garbage collected types; Potluck does not run these")
	case code == 0xfe:
		return errors.New("it uses atomic instructions; threads are not deterministic and not allowed: build it without them")
	case code >= opRelaxedFrom:
		return errors.New("it uses relaxed SIMD, whose results differ between processors: build it without (for clang: without -mrelaxed-simd)")
	default:
		return fmt.Errorf("it has an unknown instruction %#x at byte %d", uint32(code), at)
	}
}

var errExceptions = errors.New("it uses WebAssembly exceptions, which are not safe in all engines yet: build it without (for C++: -fno-exceptions; for C: without setjmp)")
