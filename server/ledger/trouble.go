package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"potluck/sandbox"
)

// The store's own trouble. None of it is the fault of a job: whoever meets it
// says so, and tries again.
var (
	// ErrFull says that the store has no room.
	ErrFull = errors.New("the store is full: delete jobs that are done, or give it more room")
	// ErrDisk says that the disk has no room. It is felt before the last byte is
	// taken, and goes away with its cause.
	ErrDisk = errors.New("the disk of the server is full: make room on it, and all goes on by itself")
	// ErrStore says that the store does not do what it should.
	ErrStore = errors.New("the store of the server does not answer: try again in a few seconds")
	// ErrCrowded says that those who have no token have no room. Whose fault that is
	// nobody knows, so it fails no job of theirs.
	ErrCrowded = errors.New("all jobs without a token together store as much as they may here: this one goes on when an admin deletes some that have ended")
)

// ErrNotFound says that the store has no such thing.
var ErrNotFound = errors.New("not found")

// ErrDamaged says that the store has no longer what it was given.
var ErrDamaged = errors.New("it is damaged")

// The codes of JetStream's errors that are of interest.
const (
	codeNoResources    = 10023
	codeStorageFull    = 10047
	codeStoreFailed    = 10077
	codeWrongLastSeq   = 10071
	codeWrongLastSeq2  = 10164
	codeStreamNotFound = 10059
	codeTooMany        = 10167
)

func code(err error) jetstream.ErrorCode {
	var js jetstream.JetStreamError
	if errors.As(err, &js) && js.APIError() != nil {
		return js.APIError().ErrorCode
	}
	return 0
}

// sort makes one of the errors above of JetStream's many ways to say the same.
// What is no trouble of the store stays as it is.
func sort(err error) error {
	c := code(err)
	switch {
	case err == nil, errors.Is(err, ErrFull), errors.Is(err, ErrDisk), errors.Is(err, ErrStore), errors.Is(err, ErrNotFound):
		return err
	case errors.Is(err, syscall.ENOSPC), strings.Contains(err.Error(), "no space left"):
		return fmt.Errorf("%w (%w)", ErrDisk, err)
	case c == codeNoResources, c == codeStorageFull, c == codeStoreFailed:
		return fmt.Errorf("%w (%w)", ErrFull, err)
	case c == codeTooMany, silent(err):
		return fmt.Errorf("%w (%w)", ErrStore, err)
	}
	return err
}

// silent says whether an error is that nobody answers.
func silent(err error) bool {
	for _, known := range []error{
		nats.ErrTimeout, nats.ErrNoResponders, nats.ErrConnectionClosed, nats.ErrDisconnected, context.DeadlineExceeded,
		jetstream.ErrNoStreamResponse, jetstream.ErrJetStreamNotEnabled, jetstream.ErrAsyncPublishTimeout, jetstream.ErrTooManyStalledMsgs,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// Trouble is what a person should hear of an error that is the server's own
// trouble and nobody's fault, without what is only for its log; "" of another one.
func Trouble(err error) string {
	for _, known := range []error{ErrFull, ErrDisk, ErrStore, ErrCrowded} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	switch {
	case err == nil:
		return ""
	case sandbox.IsMachines(err):
		return "the server cannot run programs at the moment, and its log says why: try again later"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return ErrDisk.Error()
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return "the server has as many files and connections open as it may: try again in a few seconds"
	case silent(err):
		return ErrStore.Error()
	}
	return ""
}
