//go:build !js

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"potluck/scripts/golden"
)

// Runners that name one file are one volunteer, also if they begin at once.
func TestIdentity(t *testing.T) {
	file := filepath.Join(t.TempDir(), "new", "identity")
	secrets := make([][]byte, 8)
	var wait sync.WaitGroup
	for i := range secrets {
		wait.Go(func() {
			var err error
			if secrets[i], err = identity(file); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	for _, s := range secrets {
		if len(s) != secretSize || !bytes.Equal(s, secrets[0]) {
			t.Errorf("%x and %x", secrets[0], s)
		}
	}
	if all, err := os.ReadDir(filepath.Dir(file)); err != nil || len(all) != 1 {
		t.Errorf("beside the identity: %v, %v", all, err)
	}
}

// Without a file, each is somebody else.
func TestFreshIdentity(t *testing.T) {
	for _, none := range []string{"", freshIdentity} {
		one, err := identity(none)
		two, err2 := identity(none)
		if err != nil || err2 != nil || len(one) != secretSize || bytes.Equal(one, two) {
			t.Errorf("%q: %x, %x, %v, %v", none, one, two, err, err2)
		}
	}
}

// What is no identity is not overwritten: it may be something else that matters.
func TestDamagedIdentity(t *testing.T) {
	file := filepath.Join(t.TempDir(), "identity")
	if err := os.WriteFile(file, []byte("something else\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := identity(file); err == nil {
		t.Error("it was taken for an identity")
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != "something else\n" {
		t.Errorf("it is %q now, %v", data, err)
	}
}

// Two grids cannot tell that somebody is at both, nor pose as them.
func TestForGrid(t *testing.T) {
	secret := newSecret()
	here := forGrid(secret, "https://grid.example")
	if !bytes.Equal(here, forGrid(secret, "https://Grid.example/")) {
		t.Error("the same grid hears two secrets")
	}
	if bytes.Equal(here, forGrid(secret, "https://other.example")) || bytes.Equal(here, secret) {
		t.Error("two grids hear the same secret")
	}
}

// A grid knows a volunteer by what is derived here, whatever the runner's release.
func TestGoldenIdentity(t *testing.T) {
	file := filepath.Join(t.TempDir(), "identity")
	if err := os.WriteFile(file, golden.Bytes(t, "v1/identity.txt", bytes.Repeat([]byte("07"), secretSize)), 0o600); err != nil {
		t.Fatal(err)
	}
	secret, err := identity(file)
	if err != nil {
		t.Fatal(err)
	}
	golden.Bytes(t, "v1/grid_secret.hex", forGrid(secret, "https://Grid.example:8443/"))
}
