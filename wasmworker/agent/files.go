package agent

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"potluck/wire"
)

// maxFile bounds what is fetched: a module or an input, in bytes.
const maxFile = 64 << 20

// fetchTries is how often a transfer is tried before its task fails.
const fetchTries = 4

// fetch gets bytes by path and checks their hash.
func (a *Agent) fetch(ctx context.Context, path string, hash []byte) (data []byte, err error) {
	err = a.persist(ctx, func() error {
		resp, err := a.do(ctx, http.MethodGet, path, nil, nil)
		if err != nil {
			return err
		}
		defer resp.Body.Close() //nolint:errcheck // only read
		if data, err = io.ReadAll(io.LimitReader(resp.Body, maxFile)); err != nil {
			return err
		}
		if sum := sha256.Sum256(data); !bytes.Equal(sum[:], hash) {
			return fmt.Errorf("%s: the bytes that came have the wrong hash", path)
		}
		return nil
	})
	return data, err
}

// upload sends an output that is too large for a message and gives its hash.
func (a *Agent) upload(ctx context.Context, t *task, output []byte) ([]byte, error) {
	sum := sha256.Sum256(output)
	path := fmt.Sprintf(wire.OutputPath, t.batch.Job, hex.EncodeToString(sum[:]))
	header := http.Header{}
	header.Set(wire.LeaseHeader, hex.EncodeToString(t.lease.ID))
	header.Set(wire.VolunteerHeader, wire.VolunteerID(a.Hello.Secret))
	err := a.persist(ctx, func() error {
		resp, err := a.do(ctx, http.MethodPut, path, output, header)
		if err != nil {
			return err
		}
		return resp.Body.Close()
	})
	return sum[:], err
}

// persist tries something a few times, with pauses.
func (a *Agent) persist(ctx context.Context, try func() error) (err error) {
	pause := backoffFirst
	for tries := 1; ; tries++ {
		if err = try(); err == nil || ctx.Err() != nil || tries == fetchTries {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause *= 2
	}
}

func (a *Agent) do(ctx context.Context, method, path string, body []byte, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(a.Server, "/")+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if header != nil {
		req.Header = header
	}
	resp, err := a.HTTP.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 300 {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		_ = resp.Body.Close()
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, text)
	}
	return resp, nil
}
