package agent

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"potluck/wire"
)

// fetchTries is how often a transfer is tried before its task fails.
const fetchTries = 4

// A request goes over HTTP. transfer, of which each platform has its own, sends
// it and gives the body of the answer, or an error if that is no success.
type request struct {
	method, url string
	header      map[string]string
	body        []byte
}

// fetch gets bytes by path and checks their hash.
func (a *Agent) fetch(ctx context.Context, path string, hash []byte) (data []byte, err error) {
	err = a.persist(ctx, func() error {
		if data, err = transfer(ctx, request{method: "GET", url: a.url(path), header: a.token()}); err != nil {
			return fmt.Errorf("get %s: %w", path, err)
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
	r := request{method: "PUT", url: a.url(path), body: output, header: a.token()}
	r.header[wire.LeaseHeader] = hex.EncodeToString(t.lease.ID)
	r.header[wire.VolunteerHeader] = wire.VolunteerID(a.Hello.Secret)
	err := a.persist(ctx, func() error {
		_, err := transfer(ctx, r)
		return err
	})
	return sum[:], err
}

// token is the header that a worker with a token has: it stands in no line with
// strangers then.
func (a *Agent) token() map[string]string {
	header := map[string]string{}
	if a.Hello.Token != "" {
		header["Authorization"] = "Bearer " + a.Hello.Token
	}
	return header
}

func (a *Agent) url(path string) string { return strings.TrimSuffix(a.Server, "/") + path }

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
