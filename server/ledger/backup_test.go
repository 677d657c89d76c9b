package ledger

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A grid that is brought back has what it had, secrets and tokens included.
func TestBackupAndRestore(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	l := open1(t, Config{Dir: dir})
	j := newJob(t, l)
	r, _, err := l.OpenResults(ctx, j, nil)
	if err == nil {
		err = r.Append(ctx, [][]byte{[]byte("result")})
	}
	if err != nil {
		t.Fatal(err)
	}
	data := noise(1 << 20)
	if err := l.PutObject(ctx, j.ID+".result", bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	token, record := NewToken(RoleAdmin, "Ada", time.Time{})
	if err := l.AddToken(ctx, record); err != nil {
		t.Fatal(err)
	}
	secret, err := l.Secret(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := Backup(dir, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "stop it first") {
		t.Errorf("a backup of a running server: %v", err)
	}
	l.Close()
	var archive bytes.Buffer
	if err := Backup(dir, &archive); err != nil {
		t.Fatal(err)
	}
	if err := Restore(dir, bytes.NewReader(archive.Bytes())); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("a grid was written over: %v", err)
	}
	again := filepath.Join(t.TempDir(), "again")
	if err := Restore(again, bytes.NewReader(archive.Bytes())); err != nil {
		t.Fatal(err)
	}
	was := l.Server
	l = open1(t, Config{Dir: again})
	if got, err := l.GetObject(ctx, j.ID+".result"); err != nil || !bytes.Equal(got, data) || l.Server != was {
		t.Errorf("%d bytes, %v, server %s", len(got), err, l.Server)
	}
	var results []string
	if _, damaged, err := l.OpenResults(ctx, j, collectInto(&results)); err != nil || damaged || len(results) != 1 {
		t.Errorf("%q, damaged %v, %v", results, damaged, err)
	}
	if _, err := l.CheckToken(token); err != nil {
		t.Error(err)
	}
	if got, err := l.Secret(ctx); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("another secret, %v", err)
	}
}

// Whatever is not a whole archive makes no grid, and leaves nothing.
func TestRestoreNonsense(t *testing.T) {
	dir := t.TempDir()
	l := open1(t, Config{Dir: dir})
	newJob(t, l)
	l.Close()
	var archive bytes.Buffer
	if err := Backup(dir, &archive); err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for name, data := range map[string][]byte{
		"nothing": nil, "text": []byte("no archive"), "cut short": archive.Bytes()[:r.IntN(archive.Len())],
		"a bit": flip(r, bytes.Clone(archive.Bytes()[10:])), // after its own head, which says nothing of what is in it
	} {
		if name == "a bit" {
			data = append(bytes.Clone(archive.Bytes()[:10]), data...)
		}
		to := filepath.Join(t.TempDir(), fmt.Sprint("to ", name))
		if err := Restore(to, bytes.NewReader(data)); err == nil {
			t.Errorf("%s: it was taken", name)
		}
		left, err := os.ReadDir(to)
		if err != nil || len(left) > 1 { // the lock
			t.Errorf("%s: %v is left, %v", name, left, err)
		}
	}
	damages[0].to(t, r, dir, "jobs")
	if err := Backup(dir, &archive); err == nil || !strings.Contains(err.Error(), "KV_jobs") {
		t.Errorf("a damaged grid was backed up: %v", err)
	}
}
