// Package sandbox is what all engines that run programs share: tasks and their
// outcomes, the checks on a module, and the queue in front of something that
// can be killed.
//
// The same bytes and the same input give the same output on every machine. A
// program computes and nothing else: it has its arguments, one input on stdin,
// stdout and stderr; no files, no network, no environment. Randomness is a
// generator seeded from the module, the stage and the input; the clocks are
// virtual. docs/programs.md states the rules that every engine must follow.
//
// A task runs in an [Executor], by way of a [Child]: a process that embeds wazero
// (package process), or a Web Worker of a browser (the command wasmworker). A
// kill stops any program at once and costs nothing while it behaves. A [Pool]
// shares some executors between many callers.
package sandbox

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Limits that hold for every task unless a caller sets its own.
const (
	DefaultTime   = 60 * time.Second // of computing, not of waiting
	DefaultOutput = 16 << 20         // bytes on stdout
	MaxStderr     = 64 << 10         // bytes on stderr that are kept; more is dropped
	MaxModule     = 32 << 20         // bytes of a module
	MaxMemory     = 512 << 20        // bytes of linear memory, patched into every module
)

// Profile is the newest deterministic profile: what is rewritten in modules
// (package profile), what WASI answers, the clocks and the seed of randomness.
//
//	1 (2026-11-24): the memory's maximum; WASI answers as wazero does.
//	2 (2026-11-26): one answer on every processor; streams cannot be sought (ESPIPE).
const Profile = 2

// Profiles are those that this version runs: the newest, and the one before.
var Profiles = []int{Profile - 1, Profile}

// WASI is the only module that a program may import from.
const WASI = "wasi_snapshot_preview1"

// GrowFailed is the name under which a published module exports a global that
// is 1 once memory.grow has failed below the module's maximum: the machine has
// no memory left. Then the module traps, so that the program cannot take it for
// an answer, and the engine looks at the global.
const GrowFailed = "potluck_grow_failed"

// An ID names a module: the SHA-256 of its published bytes, in hexadecimal.
type ID string

// Hash gives the ID of bytes.
func Hash(data []byte) ID {
	sum := sha256.Sum256(data)
	return ID(hex.EncodeToString(sum[:]))
}

// ParseID checks that s is a SHA-256 in lower-case hexadecimal.
func ParseID(s string) (ID, error) {
	if b, err := hex.DecodeString(s); err != nil || len(b) != sha256.Size || s != strings.ToLower(s) {
		return "", fmt.Errorf("%q is not a module id: it takes 64 hexadecimal digits, the SHA-256 of the module", s)
	}
	return ID(s), nil
}

// A Module is a published module that is at hand.
type Module struct {
	ID   ID     `cbor:"1,keyasint"`
	Path string `cbor:"2,keyasint"` // where its bytes are on disk; a browser has none
	// Profile is what WASI answers the module by; 0 stands for the first.
	Profile int `cbor:"3,keyasint,omitempty"`
	// Source returns its bytes, verified, when the file is missing or damaged: a
	// cache may be slow, never fatal. Nil if there is no other place to get them.
	Source func(context.Context) ([]byte, error) `cbor:"-"`
}

// A Task is one run of a module.
type Task struct {
	Module Module `cbor:"1,keyasint"`
	// Args are the arguments after argv[0]; a stage is the first.
	Args  []string `cbor:"2,keyasint,omitempty"`
	Input []byte   `cbor:"3,keyasint,omitempty"`
	// Time and Output bound the run; zero means the default.
	Time   time.Duration `cbor:"4,keyasint,omitempty"`
	Output int           `cbor:"5,keyasint,omitempty"`
}

// Seed is where the task's randomness starts: the first eight bytes, little
// endian, of SHA-256(module's hash ‖ arguments joined by NUL ‖ input). With one
// argument that is the stage. Replicas of a task agree; other tasks differ.
func (t *Task) Seed() uint64 {
	h := sha256.New()
	module, _ := hex.DecodeString(string(t.Module.ID)) // it was checked
	h.Write(module)
	h.Write([]byte(strings.Join(t.Args, "\x00")))
	h.Write(t.Input)
	return binary.LittleEndian.Uint64(h.Sum(nil))
}

// A Kind says in which way a run failed.
type Kind string

// The ways to fail. The first four are the program's own doing.
const (
	Exit    Kind = "exit"    // it exited with a code other than 0
	Trap    Kind = "trap"    // the engine stopped it: unreachable, out of bounds, stack overflow…
	Time    Kind = "time"    // it computed past its time
	Output  Kind = "output"  // it wrote more than it may
	Crash   Kind = "crash"   // its executor died; the machine's fault as far as anybody knows
	Load    Kind = "module"  // the module does not compile, or imports what there is not
	Machine Kind = "machine" // the machine's trouble: no memory, no executor, a module that cannot be read, overload
)

// NoMemory is the message of a failure of the machine's memory.
const NoMemory = "there was not enough memory on this machine"

// A Failure is why a run has no output. It is an error.
type Failure struct {
	Kind    Kind   `cbor:"1,keyasint" json:"kind"`
	Message string `cbor:"2,keyasint" json:"message"`
}

func (f *Failure) Error() string { return f.Message }

// IsMachines says whether an error is this machine's trouble, and no program's.
func IsMachines(err error) bool {
	f, ok := errors.AsType[*Failure](err)
	return ok && f.Kind == Machine
}

// An Outcome is what became of a task.
type Outcome struct {
	Output  []byte   `cbor:"1,keyasint,omitempty"`
	Stderr  []byte   `cbor:"2,keyasint,omitempty"`
	Failure *Failure `cbor:"3,keyasint,omitempty"`
	// Took is how long the program computed: the processor's time where the
	// platform tells it, else the time that passed.
	Took time.Duration `cbor:"4,keyasint"`
	// Elapsed is the time that passed while it ran: more than Took on a busy machine.
	Elapsed time.Duration `cbor:"5,keyasint,omitempty"`
}

// maxError is how much of stderr an error has in it, in bytes.
const maxError = 1000

// Err gives the failure as an error, nil if there is none, with the last lines
// that the program wrote to stderr.
func (o Outcome) Err() error {
	if o.Failure == nil {
		return nil
	}
	if text := LastLines(o.Stderr, maxError); text != "" {
		return fmt.Errorf("%w: %s", o.Failure, text)
	}
	return o.Failure
}

// LastLines is the end of what a program wrote to stderr, at most n bytes: a
// program that prints a banner first says what went wrong last.
func LastLines(stderr []byte, n int) string {
	text := strings.TrimSpace(string(stderr))
	if len(text) > n {
		text = text[len(text)-n:]
		if _, whole, found := strings.Cut(text, "\n"); found {
			text = whole
		}
		text = "…" + strings.ToValidUTF8(text, "")
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}
