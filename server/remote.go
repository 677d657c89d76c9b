package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"potluck/client"
	"potluck/client/terminal"
)

// grid is where the commands that talk to a server find it.
type grid struct {
	Server    string `help:"URL of the grid." default:"http://127.0.0.1:8080" env:"POTLUCK_SERVER"`
	TokenFile string `help:"File with the token that says who you are; a grid on this machine needs none." type:"existingfile" env:"POTLUCK_TOKEN_FILE"`
	Token     string `help:"The token itself; a file is safer." env:"POTLUCK_TOKEN"`
}

// client gives a client that says who it is.
func (g *grid) client() (*client.ClientWithResponses, error) {
	token := g.Token
	if g.TokenFile != "" {
		data, err := os.ReadFile(g.TokenFile)
		if err != nil {
			return nil, err
		}
		token = strings.TrimSpace(string(data))
	}
	return client.NewClientWithResponses(strings.TrimSuffix(g.Server, "/")+"/api/v1", client.WithRequestEditorFn(
		func(_ context.Context, r *http.Request) error {
			if token != "" {
				r.Header.Set("Authorization", "Bearer "+token)
			}
			return nil
		}))
}

func (g *grid) unreached(err error) error {
	return fmt.Errorf("reach the grid at %s: %w", g.Server, err)
}

// remote is what the commands have in common that print what they hear.
type remote struct {
	grid
	JSON bool `help:"Print JSON."`
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
	resp, err := c.GetResult(ctx, id, &client.GetResultParams{Partial: partial})
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode == http.StatusNoContent {
		return errors.New("there is nothing: no task of the job is done")
	}
	if resp.StatusCode != http.StatusOK {
		got, err := client.ParseGetResultResponse(resp)
		if err != nil {
			return err
		}
		return problem(got, got.ApplicationProblemJSONDefault)
	}
	return save(file, resp.Body)
}

// sayMissing says on stderr what is missing in a result.
func sayMissing(j *client.Job) {
	if j.Tasks.Skipped == 0 {
		return
	}
	fmt.Fprintf(terminal.Err, "%d of %d tasks were skipped and are missing in the result:\n", j.Tasks.Skipped, j.Tasks.Total)
	for _, s := range j.Skipped {
		fmt.Fprintln(terminal.Err, s.Reason)
	}
	if len(j.Skipped) < j.Tasks.Skipped {
		fmt.Fprintf(terminal.Err, "and others: see potluck tasks %s --json\n", j.ID)
	}
}

// fetchTask writes the output of a task likewise.
func fetchTask(ctx context.Context, c *client.ClientWithResponses, id string, task int, file string) error {
	resp, err := c.GetTaskOutput(ctx, id, task)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode != http.StatusOK {
		got, err := client.ParseGetTaskOutputResponse(resp)
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
