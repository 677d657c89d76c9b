package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"potluck/sandbox"
)

// Approve lets everybody publish and run a module, whether the grid has it yet
// or not.
func (l *Ledger) Approve(ctx context.Context, id sandbox.ID) error {
	err := l.write(ctx, func(ctx context.Context) error {
		_, err := l.approvals.Put(ctx, string(id), []byte("{}"))
		return err
	})
	if err != nil {
		return fmt.Errorf("approve module %s: %w", id, err)
	}
	return nil
}

// Withdraw takes the approval of a module back, or gives ErrNotFound.
func (l *Ledger) Withdraw(ctx context.Context, id sandbox.ID) error {
	if approved, err := l.Approved(ctx, id); err != nil || !approved {
		return errors.Join(err, fmt.Errorf("an approval of module %s: %w", id, ErrNotFound))
	}
	err := l.erase(ctx, func(ctx context.Context) error { return l.approvals.Purge(ctx, string(id)) })
	if err != nil {
		return fmt.Errorf("withdraw the approval of module %s: %w", id, err)
	}
	return nil
}

// Approved says whether a module was approved.
func (l *Ledger) Approved(ctx context.Context, id sandbox.ID) (bool, error) {
	_, err := l.approvals.Get(ctx, string(id))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look up whether module %s was approved: %w", id, err)
	}
	return true, nil
}

// Approvals lists the modules that were approved.
func (l *Ledger) Approvals(ctx context.Context) ([]string, error) {
	keys, err := l.approvals.ListKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the approvals: %w", err)
	}
	ids := []string{}
	for id := range keys.Keys() {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids, nil
}
