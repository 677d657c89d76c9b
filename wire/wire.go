// Package wire is what a gateway and a worker say to each other: binary
// WebSocket messages, each one CBOR map (RFC 8949) with small integers for
// keys. One message may carry several things at once, so that batching costs no
// further message. docs/protocol.md tells the story; Protocol is its version.
package wire

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// Protocol is the version that a worker says first; a gateway speaks only this one.
//
// 1 (2026-11-24): the first.
const Protocol = 1

// MaxProfiles is how many profiles a hello may list.
const MaxProfiles = 16

// Limits of a message.
const (
	MaxHello   = 4 << 10   // bytes, before the gateway knows who it is
	MaxMessage = 1 << 20   // bytes, after that
	MaxBatch   = 900 << 10 // bytes of payload that a sender puts in a message, so that it fits
	MaxInline  = 256 << 10 // bytes of an input or output in a message; larger ones travel over HTTP
	maxItems   = 1 << 14   // things of one kind in a message
)

// FromWorker is a message from a worker to a gateway.
type FromWorker struct {
	Hello   *Hello   `cbor:"1,keyasint,omitempty"` // in the first message, and only there
	Credit  uint64   `cbor:"2,keyasint,omitempty"` // how many leases in all the worker is ready to have got in this session; it only grows
	Results []Result `cbor:"3,keyasint,omitempty"`
	Returns [][]byte `cbor:"4,keyasint,omitempty"` // leases that the worker gives back
	Bye     bool     `cbor:"5,keyasint,omitempty"` // nothing more will come
	Slots   int      `cbor:"6,keyasint,omitempty"` // from now on, other than the hello said
}

// Hello says who a worker is.
type Hello struct {
	Protocol int    `cbor:"1,keyasint"`
	Name     string `cbor:"2,keyasint,omitempty"` // for people; need not be unique
	Secret   []byte `cbor:"3,keyasint"`           // its hash is the volunteer's identity
	Token    string `cbor:"4,keyasint,omitempty"` // a runner's, for a closed grid or to be trusted
	Slots    int    `cbor:"5,keyasint"`           // tasks computed at a time
	Engine   string `cbor:"6,keyasint,omitempty"` // what runs programs, for the grid's page
	Platform string `cbor:"7,keyasint,omitempty"` // operating system and processor, likewise
	Team     string `cbor:"8,keyasint,omitempty"` // for people; whoever names it is in it
	Profiles []int  `cbor:"9,keyasint,omitempty"` // that its engine has, as in package sandbox; none is 1
}

// A Result answers a lease: an output, the name of one sent over HTTP, or a failure.
type Result struct {
	Lease   []byte   `cbor:"1,keyasint"`
	Output  []byte   `cbor:"2,keyasint,omitempty"`
	Hash    []byte   `cbor:"3,keyasint,omitempty"` // SHA-256 of an output that was sent over HTTP
	Failure *Failure `cbor:"4,keyasint,omitempty"`
	Micros  int64    `cbor:"5,keyasint"` // of computing
}

// A Failure is why a task has no output.
type Failure struct {
	Kind    string `cbor:"1,keyasint"` // as in package sandbox
	Message string `cbor:"2,keyasint"`
	Stderr  []byte `cbor:"3,keyasint,omitempty"`
}

// ToWorker is a message from a gateway to a worker.
type ToWorker struct {
	Welcome *Welcome `cbor:"1,keyasint,omitempty"` // answers the hello
	Batches []Batch  `cbor:"2,keyasint,omitempty"` // leases
	Acks    []Ack    `cbor:"3,keyasint,omitempty"` // answers to results
	Revoked [][]byte `cbor:"4,keyasint,omitempty"` // leases that need not be computed any more
	Idle    *Idle    `cbor:"5,keyasint,omitempty"` // there is no work now
	Drain   bool     `cbor:"6,keyasint,omitempty"` // the gateway goes: connect again; leases stay good
	Refused *Refused `cbor:"7,keyasint,omitempty"` // the last message of a session that ends badly
}

// Welcome tells a worker who it is to the grid.
type Welcome struct {
	Volunteer string `cbor:"1,keyasint"`
	Worker    string `cbor:"2,keyasint"`
}

// A Batch is leases of one job.
type Batch struct {
	Job    string   `cbor:"1,keyasint"`
	Title  string   `cbor:"2,keyasint,omitempty"` // what the job is, for people
	Module []byte   `cbor:"3,keyasint"`           // SHA-256; over HTTP at ModulePath
	Args   []string `cbor:"4,keyasint,omitempty"`
	Millis int64    `cbor:"5,keyasint"` // of computing that a task may take
	Output int      `cbor:"6,keyasint"` // bytes that a task may write
	Leases []Lease  `cbor:"7,keyasint"`
	// Profile is what the engine runs the module by; 0 is 1.
	Profile int `cbor:"8,keyasint,omitempty"`
}

// A Lease lends one copy of a task.
type Lease struct {
	ID    []byte `cbor:"1,keyasint"` // opaque and signed; a result quotes it
	Task  uint32 `cbor:"2,keyasint"`
	Input []byte `cbor:"3,keyasint,omitempty"`
	Hash  []byte `cbor:"4,keyasint,omitempty"` // SHA-256 of an input that is to be had at InputPath
}

// An Ack says what became of a result. The worker may forget it.
type Ack struct {
	Lease  []byte `cbor:"1,keyasint"`
	Status Status `cbor:"2,keyasint"`
	Reason string `cbor:"3,keyasint,omitempty"`
}

// Status is what became of a result.
type Status uint8

// The statuses.
const (
	Accepted Status = iota + 1 // it is right and durable
	Pending                    // it counts once others agree
	Late                       // it was not needed any more
	Rejected                   // it does not count; Reason says why
)

// Idle says why there is no work.
type Idle struct {
	Reason string `cbor:"1,keyasint"`
}

// A Refused says why a session ends.
type Refused struct {
	Code   string `cbor:"1,keyasint"`
	Reason string `cbor:"2,keyasint"`
}

// Codes of Refused.
const (
	CodeProtocol   = "protocol"   // another version
	CodeToken      = "token"      // the token is not a runner's that is good, or the grid is closed and there is none
	CodeMessage    = "message"    // the worker sent something that makes no sense
	CodeFull       = "full"       // too many connections
	CodeQuarantine = "quarantine" // the volunteer's results were wrong
)

// Where workers fetch and leave what is too large for a message. %s are hashes
// and ids, %d is a task.
const (
	SocketPath = "/api/v1/work"
	ModulePath = "/api/v1/modules/%s"
	InputPath  = "/api/v1/work/%s/inputs/%d"
	OutputPath = "/api/v1/work/%s/outputs/%s"
	// MePath is a volunteer, to whoever has their secret.
	MePath = "/api/v1/volunteers/me"
	// LeaseHeader carries the lease, in hexadecimal, that an output answers.
	LeaseHeader = "Potluck-Lease"
	// VolunteerHeader carries the volunteer that the lease was lent to.
	VolunteerHeader = "Potluck-Volunteer"
	// SecretHeader carries a volunteer's secret, in hexadecimal.
	SecretHeader = "Potluck-Secret"
)

// How long a volunteer's secret is, in bytes.
const (
	MinSecret = 16
	MaxSecret = 64
)

// SecretFits says whether a secret is one by its length.
func SecretFits(secret []byte) bool { return len(secret) >= MinSecret && len(secret) <= MaxSecret }

// VolunteerID is the identity that a secret stands for: the start of its
// SHA-256, in hexadecimal.
func VolunteerID(secret []byte) string {
	sum := sha256.Sum256(secret)
	return hex.EncodeToString(sum[:8])
}

var (
	encoding = must(cbor.EncOptions{}.EncMode())
	decoding = must(cbor.DecOptions{MaxArrayElements: maxItems, MaxNestedLevels: 8, MaxMapPairs: 16}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Encode writes a message.
func Encode(message any) ([]byte, error) { return encoding.Marshal(message) }

// ErrMessage says that a message makes no sense.
var ErrMessage = errors.New("not a message of this protocol")

// Decode reads a message into the value that v points at. Unknown keys are
// ignored: a newer peer may say more.
func Decode(data []byte, v any) error {
	if err := decoding.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%w: %w", ErrMessage, err)
	}
	return nil
}

// Size estimates the payload of a lease in a message, in bytes.
func (l *Lease) Size() int { return len(l.Input) + len(l.ID) + 64 }

// Size estimates the payload of a result in a message, in bytes.
func (r *Result) Size() int {
	n := len(r.Output) + len(r.Lease) + 64
	if r.Failure != nil {
		n += len(r.Failure.Stderr) + len(r.Failure.Message)
	}
	return n
}
