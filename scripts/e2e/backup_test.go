package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"potluck/client"
	"potluck/scripts/localgrid"
)

// A grid whose secret is damaged does not begin, and says what to do; done so, it
// goes on with what the backup has.
func TestBackupMendsADamagedSecret(t *testing.T) {
	g := start(t)
	g.runner("Ada")
	j := g.submit(squares)
	g.ended(j.ID, client.JobStateDone)
	was := g.result(j.ID)
	archive := filepath.Join(t.TempDir(), "grid.tar.gz")
	if running := g.potluck("", "backup", "--data", g.Data, archive); running.status != 1 || !strings.Contains(running.stderr, "stop it first") {
		t.Errorf("a backup of a running grid: %+v", running)
	}
	g.Server.Stop()
	if made := g.potluck("", "backup", "--data", g.Data, archive); made.status != 0 {
		t.Fatalf("%+v", made)
	}
	block := filepath.Join(g.Data, "ledger", "jetstream", "$G", "streams", "KV_grid", "msgs", "1.blk")
	data, err := os.ReadFile(block)
	if err == nil {
		err = os.WriteFile(block, make([]byte, len(data)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if other, err := localgrid.Start(bin, g.Data); err == nil {
		other.Close()
		t.Fatal("it begins without its secret")
	} else if !strings.Contains(err.Error(), "potluck restore") {
		t.Error(err)
	}
	if over := g.potluck("", "restore", "--data", g.Data, archive); over.status != 1 || !strings.Contains(over.stderr, "out of the way") {
		t.Errorf("a grid was written over: %+v", over)
	}
	if err := os.Rename(filepath.Join(g.Data, "ledger"), filepath.Join(g.Data, "old")); err != nil {
		t.Fatal(err)
	}
	if back := g.potluck("", "restore", "--data", g.Data, archive); back.status != 0 {
		t.Fatalf("%+v", back)
	}
	if err := g.Serve(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(g.result(j.ID), was) {
		t.Error("the result is another")
	}
	g.computed()
}
