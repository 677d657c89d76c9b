//go:build !js

package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// secretSize is the length of a secret, in bytes.
const secretSize = 32

// freshIdentity is the --identity that is another one each time.
const freshIdentity = "none"

// usualIdentity is the file with the identity of this user's runners; a fresh
// one where there is no place for a file.
func usualIdentity() string {
	base, err := os.UserConfigDir()
	if err != nil {
		return freshIdentity
	}
	return filepath.Join(base, "potluck", "identity")
}

func newSecret() []byte {
	secret := make([]byte, secretSize)
	_, _ = rand.Read(secret) // never fails
	return secret
}

// identity gives the secret that a file has. It is made when there is none.
func identity(file string) ([]byte, error) {
	if file == "" || file == freshIdentity {
		return newSecret(), nil
	}
	secret, err := readIdentity(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return secret, err
	}
	if err := makeIdentity(file); err != nil {
		return nil, fmt.Errorf("keep the identity (--identity names another file, or none): %w", err)
	}
	return readIdentity(file)
}

// forGrid derives the secret that one grid hears: whoever runs a grid must not
// be able to pose as its volunteers at another.
func forGrid(secret []byte, server string) []byte {
	host := server
	if u, err := url.Parse(server); err == nil && u.Host != "" {
		host = strings.ToLower(u.Host)
	}
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(host))
	return h.Sum(nil)
}

func readIdentity(file string) ([]byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	secret, err := hex.DecodeString(strings.TrimSpace(string(data)))
	if err != nil || len(secret) != secretSize {
		return nil, fmt.Errorf("%s is not an identity: move it away, and a new one is made", file)
	}
	return secret, nil
}

// makeIdentity makes a file with a new secret, unless another runner does at
// the same time: then that one counts.
func makeIdentity(file string) error {
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "new-") // nobody else may read it
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // it has another name by then
	_, err = fmt.Fprintln(f, hex.EncodeToString(newSecret()))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), file); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
