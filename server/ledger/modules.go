package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"potluck/contract"
	"potluck/sandbox"
	"potluck/sandbox/profile"
)

// A Module is the record of a published module. Its bytes are an object.
type Module struct {
	ID       sandbox.ID         `json:"id"`
	Bytes    int                `json:"bytes"`
	Manifest *contract.Manifest `json:"manifest,omitempty"` // none of a plain program
	Gated    bool               `json:"gated,omitempty"`    // it passed the determinism gate on a real task
	Created  time.Time          `json:"created"`
	Owner    string             `json:"owner,omitempty"`   // token of who published it first, if they had one
	Source   sandbox.ID         `json:"source,omitempty"`  // hash of what was sent; "" under the first profile
	Profile  int                `json:"profile,omitempty"` // it was written under; 0 stands for the first
	Report   *profile.Report    `json:"report,omitempty"`  // what it is and what was rewritten
}

func moduleObject(id sandbox.ID) string { return "module." + string(id) }

// PutModule stores a module and its record, in this order. The same module
// again changes only the record.
func (l *Ledger) PutModule(ctx context.Context, m *Module, data []byte) error {
	has, err := l.HasObject(ctx, moduleObject(m.ID))
	if err == nil && !has {
		err = l.PutObject(ctx, moduleObject(m.ID), bytes.NewReader(data))
	}
	if err != nil {
		return err
	}
	return l.UpdateModule(ctx, m)
}

// UpdateModule stores the record of a module.
func (l *Ledger) UpdateModule(ctx context.Context, m *Module) error {
	record, err := json.Marshal(m)
	if err == nil {
		err = l.write(ctx, func(ctx context.Context) error {
			_, err := l.modules.Put(ctx, string(m.ID), record)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("store module %s: %w", m.ID, err)
	}
	l.countModule(m)
	return nil
}

// Module gives the record of a module, or ErrNotFound.
func (l *Ledger) Module(ctx context.Context, id sandbox.ID) (*Module, error) {
	e, err := l.modules.Get(ctx, string(id))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, fmt.Errorf("module %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("look module %s up: %w", id, sort(err))
	}
	var m Module
	return &m, json.Unmarshal(e.Value(), &m)
}

// ModuleBytes gives the bytes of a module.
func (l *Ledger) ModuleBytes(ctx context.Context, id sandbox.ID) ([]byte, error) {
	return l.GetObject(ctx, moduleObject(id))
}
