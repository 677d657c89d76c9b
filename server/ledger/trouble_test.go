package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"

	"potluck/sandbox"
)

// People hear what the server's trouble is, and nothing of its files.
func TestTroubleHasWords(t *testing.T) {
	at := func(err error) error {
		return fmt.Errorf("keep: %w", &fs.PathError{Op: "open", Path: "/data/scratch", Err: err})
	}
	for _, c := range []struct {
		err  error
		says string
	}{
		{at(syscall.EMFILE), "files"},
		{at(syscall.ENFILE), "files"},
		{at(syscall.ENOSPC), "disk"},
		{fmt.Errorf("store x: %w", sort(nats.ErrTimeout)), "does not answer"},
		{fmt.Errorf("store x: %w", ErrFull), "delete jobs"},
		{&sandbox.Failure{Kind: sandbox.Machine, Message: "fork: no memory"}, "cannot run programs"},
		{&sandbox.Failure{Kind: sandbox.Trap, Message: "unreachable"}, ""},
		{context.Canceled, ""},
		{ErrFenced, ""},
		{errors.New("it makes no sense"), ""},
		{nil, ""},
	} {
		words := Trouble(c.err)
		if (words == "") != (c.says == "") || !strings.Contains(words, c.says) || strings.Contains(words, "/") {
			t.Errorf("%v: %q", c.err, words)
		}
	}
}
