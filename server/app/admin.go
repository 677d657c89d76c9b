package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"potluck/server/ledger"
)

// isOpen says whether everybody who reaches the server is its admin: it listens
// to this machine only, and no proxy brings others.
func isOpen(c Config, listener net.Listener) bool {
	a, ok := listener.Addr().(*net.TCPAddr)
	return ok && a.IP.IsLoopback() && !c.BehindProxy
}

// adminTokenFile is where the first admin of a grid that is not open finds their
// token.
const adminTokenFile = "admin-token"

// firstAdmin makes an admin's token if the grid has none. It is in the file
// before the ledger knows it: a start that is cut off in between is made good
// by the next one.
func (a *App) firstAdmin(ctx context.Context, dir string) error {
	isAdmin := func(t *ledger.Token) bool { return t.Role == ledger.RoleAdmin && !t.Expired() }
	if slices.ContainsFunc(a.ledger.Tokens(), isAdmin) {
		return nil
	}
	token, record := ledger.NewToken(ledger.RoleAdmin, "first admin", time.Time{})
	file := filepath.Join(dir, adminTokenFile)
	if err := errors.Join(os.RemoveAll(file), os.WriteFile(file, []byte(token+"\n"), 0o600)); err != nil {
		return fmt.Errorf("write the first admin's token: %w", err)
	}
	if err := a.ledger.AddToken(ctx, record); err != nil {
		return err
	}
	a.log.Info("the first admin's token is in a file: keep it safe, it may do everything", "file", file)
	return nil
}
