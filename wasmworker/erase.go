//go:build !js

package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"potluck/wire"
)

// eraseTime is how long the grid may take to erase a name.
const eraseTime = 30 * time.Second

// erase has the grid erase the name of the volunteer whose identity is in the file.
func (o *options) erase(ctx context.Context) error {
	if o.Identity == "" || o.Identity == freshIdentity {
		return errors.New("--erase needs the --identity whose name is to be erased")
	}
	secret, err := readIdentity(o.Identity)
	if err != nil {
		return fmt.Errorf("without its identity the grid cannot tell whose name to erase: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, eraseTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodDelete, strings.TrimSuffix(o.Server, "/")+wire.MePath, nil)
	if err != nil {
		return err
	}
	r.Header.Set(wire.SecretHeader, hex.EncodeToString(forGrid(secret, o.Server)))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode != http.StatusNoContent {
		return fmt.Errorf("the grid did not erase the name: %s", reason(resp))
	}
	fmt.Printf("The grid has erased the name of this volunteer. Delete %s to be another one from now on.\n", o.Identity)
	return nil
}

// reason is what a grid says of what it did not do.
func reason(resp *http.Response) string {
	var problem struct{ Detail string }
	data, err := io.ReadAll(io.LimitReader(resp.Body, wire.MaxHello))
	if err != nil || json.Unmarshal(data, &problem) != nil || problem.Detail == "" {
		return resp.Status
	}
	return problem.Detail
}
