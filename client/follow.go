// Package client talks to a grid over HTTP. Most of it is generated from
// server/api/openapi.yaml; docs/protocol.md tells of both.
package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Final says whether a job in this state has ended.
func (s JobState) Final() bool {
	return s == JobStateDone || s == JobStateFailed || s == JobStateCancelled
}

// ErrNoJob says that the grid has no such job, or not any more.
var ErrNoJob = errors.New("there is no such job")

// patience is how long a grid may be away while a job is followed: it may be
// restarting.
const patience = 2 * time.Minute

// Follow calls see with a job as it is now and whenever it changes, until see
// returns true or the job has ended, and gives the job as it was last. It
// connects again when the connection is lost.
func (c *ClientWithResponses) Follow(ctx context.Context, id string, see func(*Job) bool) (*Job, error) {
	f := follower{client: c, id: id, see: see}
	since := time.Now()
	for {
		before := f.last
		end, err := f.stream(ctx)
		switch {
		case end || ctx.Err() != nil:
			return f.last, ctx.Err()
		case errors.Is(err, ErrNoJob):
			return f.last, fmt.Errorf("job %s: %w", id, err)
		case f.last != before:
			since = time.Now()
		case time.Since(since) > patience:
			return f.last, err
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

type follower struct {
	client *ClientWithResponses
	id     string
	see    func(*Job) bool
	last   *Job
	event  string // id of the last event
}

// stream reads one stream of events; end says that nothing more is wanted.
func (f *follower) stream(ctx context.Context) (end bool, err error) {
	resp, err := f.client.WatchJob(ctx, f.id, func(_ context.Context, r *http.Request) error {
		if f.event != "" {
			r.Header.Set("Last-Event-ID", f.event)
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode == http.StatusNotFound {
		return false, ErrNoJob
	}
	if resp.StatusCode != http.StatusOK {
		return false, errors.New("the grid answered " + strconv.Itoa(resp.StatusCode))
	}
	lines := bufio.NewReader(resp.Body)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return false, fmt.Errorf("the grid ended the connection: %w", err)
		}
		if id, ok := strings.CutPrefix(line, "id: "); ok {
			f.event = strings.TrimSpace(id)
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			job := &Job{}
			if err := json.Unmarshal([]byte(data), job); err != nil {
				return false, err
			}
			f.last = job
			if f.see(job) || job.State.Final() {
				return true, nil
			}
		}
	}
}
