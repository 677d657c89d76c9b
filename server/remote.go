package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"potluck/client"
)

// remote is what the commands that talk to a server have in common.
type remote struct {
	Server string `help:"URL of the grid." default:"http://127.0.0.1:8080" env:"POTLUCK_SERVER"`
	JSON   bool   `help:"Print JSON."`
}

func (r *remote) client() (*client.ClientWithResponses, error) {
	return client.NewClientWithResponses(strings.TrimSuffix(r.Server, "/") + "/api/v1")
}

// problem turns an answer that is not a success into an error for people.
func problem(answer interface{ StatusCode() int }, p *client.Problem) error {
	if answer.StatusCode() < http.StatusBadRequest {
		return nil
	}
	if p == nil {
		return fmt.Errorf("the server answered %d %s", answer.StatusCode(), http.StatusText(answer.StatusCode()))
	}
	text := p.Detail
	for _, f := range p.Errors {
		if !strings.Contains(text, f.Message) {
			text += "; " + f.Field + ": " + f.Message
		}
	}
	return errors.New(text)
}

func printJSON(v any) error {
	enc := json.NewEncoder(os.Stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// patience is how long a server may be away while a job is followed: it may be
// restarting.
const patience = 2 * time.Minute

// follow calls see with a job whenever it changes, until it has ended.
func (r *remote) follow(ctx context.Context, c *client.ClientWithResponses, id string, see func(*client.Job)) (*client.Job, error) {
	var last int64
	since := time.Now()
	for {
		job, err := r.events(ctx, c, id, &last, see)
		if job != nil && final(job.State) || ctx.Err() != nil {
			return job, ctx.Err()
		}
		if job != nil {
			since = time.Now()
		}
		var gone *status
		if errors.As(err, &gone) || time.Since(since) > patience {
			return nil, err
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// events reads one stream of a job's events; it gives the last one.
func (r *remote) events(ctx context.Context, c *client.ClientWithResponses, id string, last *int64, see func(*client.Job)) (job *client.Job, err error) {
	resp, err := c.ClientInterface.WatchJob(ctx, id, func(_ context.Context, req *http.Request) error {
		req.Header.Set("Last-Event-ID", strconv.FormatInt(*last, 10))
		return nil
	})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode == http.StatusNotFound {
		return nil, &status{1, "there is no job " + id}
	}
	lines := bufio.NewReader(resp.Body)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return job, fmt.Errorf("the server ended the connection: %w", err)
		}
		if n, ok := strings.CutPrefix(line, "id: "); ok {
			*last, _ = strconv.ParseInt(strings.TrimSpace(n), 10, 64) // ours are numbers
		}
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			continue
		}
		job = &client.Job{}
		if err := json.Unmarshal([]byte(data), job); err != nil {
			return nil, err
		}
		if see(job); final(job.State) {
			return job, nil
		}
	}
}

func final(s client.JobState) bool {
	return s == client.JobStateDone || s == client.JobStateFailed || s == client.JobStateCancelled
}

// ended turns how a job ended into an error, nil if it is done.
func ended(j *client.Job) error {
	switch j.State {
	case client.JobStateFailed:
		return &status{exitFailed, "the job failed: " + j.Reason}
	case client.JobStateCancelled:
		return &status{exitCancelled, "the job was cancelled"}
	case client.JobStateDone, client.JobStateRunning, client.JobStatePaused:
	}
	return nil
}

// fetch writes the result of a job to a file, or to stdout if that is "" or "-".
func fetch(ctx context.Context, c *client.ClientWithResponses, id string, partial bool, file string) error {
	resp, err := c.ClientInterface.GetResult(ctx, id, &client.GetResultParams{Partial: partial})
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode != http.StatusOK {
		got, err := client.ParseGetResultResponse(resp)
		if err != nil {
			return err
		}
		return problem(got, got.ApplicationProblemJSONDefault)
	}
	return save(file, resp.Body)
}

// save writes to a file as a whole or not at all.
func save(file string, r io.Reader) error {
	if file == "" || file == "-" {
		_, err := io.Copy(os.Stdout, r)
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".potluck-")
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if err = errors.Join(err, f.Close()); err == nil {
		err = errors.Join(os.Chmod(f.Name(), 0o644), os.Rename(f.Name(), file)) //nolint:gosec // a result is like any other file of the user
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
