package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/alecthomas/kong"

	"potluck/client"
	"potluck/client/progress"
	"potluck/client/terminal"
	"potluck/server/program"
)

// job is what makes a job, on a server or here.
type job struct {
	Program string    `arg:"" help:"Name of a program, id of a module, or a .wasm file."`
	Params  string    `help:"Parameters as JSON, or @FILE." placeholder:"JSON"`
	Input   string    `help:"File to work on; - is stdin." placeholder:"FILE" xor:"input"`
	Split   string    `help:"How to split the input: lines, lines:N, bytes:N, range:FROM:TO[:STEP] or json."`
	Arg     arguments `help:"Argument of a plain program; may be repeated." placeholder:"ARG"`
	Collect string    `help:"How to put outputs together that the program does not reduce: concat, ndjson or json."`
	Output  string    `short:"o" help:"File for the result; stdout by default." placeholder:"FILE"`
}

// arguments are taken as they are, one a flag, also those that start with a
// hyphen.
type arguments []string

// Decode appends one.
func (a *arguments) Decode(c *kong.DecodeContext) error {
	t, err := c.Scan.PopValue("argument")
	if err == nil {
		*a = append(*a, t.String())
	}
	return err
}

// check says what is wrong with them.
func (a *arguments) check() error {
	for i, arg := range *a {
		if err := program.CheckArg(arg); err != nil {
			return fmt.Errorf("--arg %q, number %d: %w", arg, i+1, err)
		}
	}
	return nil
}

func (j *job) params() ([]byte, error) {
	if file, ok := strings.CutPrefix(j.Params, "@"); ok {
		return os.ReadFile(file)
	}
	return []byte(j.Params), nil
}

// open opens the input; nil if there is none.
func (j *job) open() (io.ReadCloser, error) {
	switch j.Input {
	case "":
		return nil, nil //nolint:nilnil // no input is no error
	case "-":
		return os.Stdin, nil
	}
	return os.Open(j.Input)
}

type submitCommand struct {
	remote
	job
	InputOf  string  `help:"Work on the inputs of another job, as they were cut for it." placeholder:"JOB" xor:"input"`
	Policy   string  `help:"Whose word counts: adaptive, for established volunteers' with some of their answers checked; strict:N, for N volunteers that must agree; or trusted, for everybody's. By default trusted on a grid of this machine alone, else adaptive." placeholder:"POLICY"`
	OnError  string  `help:"What a task that the program fails at does to the job: fail, or skip to leave it out of the result." enum:"fail,skip" default:"fail"`
	Priority float64 `help:"A job of twice the priority gets twice the workers." default:"1"`
	Title    string  `help:"What to call the job."`
	Key      string  `help:"Idempotency key: the same command again gives the same job."`
	Preview  bool    `help:"Submit nothing; say what the job would be."`
	Wait     bool    `help:"Wait for the job to end and fetch its result."`
	Quiet    bool    `short:"q" help:"Show no progress."`
}

// Run submits a job. Without --wait it prints the job's id.
func (s *submitCommand) Run(ctx context.Context) error {
	c, err := s.client()
	if err != nil {
		return err
	}
	wanted, err := s.wanted(ctx, c)
	if err != nil {
		return err
	}
	if s.Preview {
		return s.preview(ctx, c, wanted)
	}
	answer, err := c.CreateJobWithResponse(ctx, &client.CreateJobParams{IdempotencyKey: s.Key}, wanted)
	if err != nil {
		return s.unreached(err)
	}
	if err := problem(answer, answer.ApplicationProblemJSONDefault); err != nil {
		return err
	}
	created := answer.JSON201
	if !s.Wait {
		if s.JSON {
			return printJSON(created)
		}
		fmt.Println(created.ID)
		return nil
	}
	return s.await(ctx, c, created)
}

// preview prints what the job would be.
func (s *submitCommand) preview(ctx context.Context, c *client.ClientWithResponses, wanted client.NewJob) error {
	answer, err := c.PreviewJobWithResponse(ctx, wanted)
	if err != nil {
		return s.unreached(err)
	}
	if err := problem(answer, answer.ApplicationProblemJSONDefault); err != nil {
		return err
	}
	if s.JSON {
		return printJSON(answer.JSON200)
	}
	w := tabwriter.NewWriter(terminal.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "tasks\t%d\n", answer.JSON200.Tasks)
	fmt.Fprintf(w, "inputs\t%d bytes\n", answer.JSON200.Bytes)
	fmt.Fprintf(w, "a task\t%s\n", tried(answer.JSON200))
	return w.Flush()
}

// tried says how it went with the task that was tried.
func tried(p *client.Preview) string {
	took := time.Duration(p.TaskSeconds * float64(time.Second)).Round(time.Microsecond)
	switch {
	case p.Failure != "":
		return "failed: " + p.Failure
	case p.Complete:
		all := time.Duration(p.TaskSeconds * float64(p.Tasks) * float64(time.Second)).Round(time.Millisecond)
		return fmt.Sprintf("takes %s of computing; all of them about %s if they are alike", took, all)
	case took > 0:
		return fmt.Sprintf("takes more than %s of computing", took)
	}
	return "was not tried: the server is busy"
}

// await follows a job to its end and fetches its result.
func (s *submitCommand) await(ctx context.Context, c *client.ClientWithResponses, created *client.Job) error {
	if !s.Quiet {
		fmt.Fprintln(os.Stderr, "job", created.ID)
	}
	view := progress.New(s.Quiet, len(created.Title))
	bar := view.Bar(created.Title)
	last, err := c.Follow(ctx, created.ID, func(j *client.Job) bool { bar.Set(j.Tasks.Done, j.Tasks.Total, j.Reason); return false })
	bar.End()
	view.Wait()
	if err != nil {
		if ctx.Err() != nil {
			fmt.Fprintf(os.Stderr, "the job goes on; its result will be at: potluck result %s\n", created.ID)
		}
		return err
	}
	if err := ended(last); err != nil {
		return err
	}
	if s.JSON && s.Output != "" {
		if err := printJSON(last); err != nil {
			return err
		}
	}
	sayMissing(last)
	return fetch(ctx, c, created.ID, false, s.Output)
}

func (s *submitCommand) wanted(ctx context.Context, c *client.ClientWithResponses) (w client.NewJob, err error) {
	if err := s.Arg.check(); err != nil {
		return w, err
	}
	if !utf8.ValidString(s.Title) {
		return w, fmt.Errorf("--title %q is not in UTF-8", s.Title)
	}
	w = client.NewJob{
		Program: s.Program, Args: s.Arg, Collect: client.Collect(s.Collect), Policy: s.Policy,
		Priority: s.Priority, Title: s.Title, OnError: client.OnError(s.OnError),
	}
	params, err := s.params()
	if err != nil {
		return w, err
	}
	if len(params) > 0 {
		if !json.Valid(params) {
			return w, fmt.Errorf("--params is not JSON: %s", params)
		}
		w.Params = params
	}
	if w.Input, err = s.input(ctx, c); err != nil {
		return w, err
	}
	if strings.HasSuffix(s.Program, ".wasm") {
		w.Program, err = s.publish(ctx, c)
	}
	return w, err
}

// publish publishes the program and gives the module's id.
func (s *submitCommand) publish(ctx context.Context, c *client.ClientWithResponses) (string, error) {
	m, err := publish(ctx, c, s.Program)
	if err != nil {
		return "", err
	}
	if !s.Quiet {
		fmt.Fprintln(terminal.Err, aboutModule(m))
	}
	return m.ID, nil
}

// aboutModule says what a module is, what it may take and what was changed in
// it.
func aboutModule(m *client.Module) string {
	parts := []string{fmt.Sprintf("module %.12s, profile %d: up to %d MiB of memory", m.ID, max(1, m.Profile), m.Memory>>20)}
	for _, p := range []struct {
		is   bool
		text string
	}{
		{m.Tables > 0, fmt.Sprintf("tables of up to %d entries", m.Tables)},
		{len(m.Features) > 0, "uses " + strings.Join(m.Features, ", ")},
		{m.Rewritten.Canonical > 0, fmt.Sprintf("NaNs made the same everywhere in %d places", m.Rewritten.Canonical)},
		{m.Rewritten.Grows > 0, fmt.Sprintf("growing memory checked in %d functions", m.Rewritten.Grows)},
		{m.Rewritten.Start, "its start section made part of _start"},
		{m.Rewritten.Merged > 0, fmt.Sprintf("%d data segments merged", m.Rewritten.Merged)},
	} {
		if p.is {
			parts = append(parts, p.text)
		}
	}
	return strings.Join(parts, "; ")
}

// publish publishes a module.
func publish(ctx context.Context, c *client.ClientWithResponses, file string) (*client.Module, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	answer, err := c.CreateModuleWithBodyWithResponse(ctx, "application/wasm", bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	if err := problem(answer, answer.ApplicationProblemJSONDefault); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	switch {
	case answer.JSON201 != nil:
		return answer.JSON201, nil
	case answer.JSON200 != nil:
		return answer.JSON200, nil
	}
	return nil, errors.New("the server answered nothing that makes sense")
}

// inlineInput is how large a text may be to go with the job itself, in bytes.
const inlineInput = 16 << 10

// input sends a small text with the job and anything else ahead of it.
func (s *submitCommand) input(ctx context.Context, c *client.ClientWithResponses) (client.Input, error) {
	in := client.Input{Split: s.Split, Job: s.InputOf}
	r, err := s.open()
	if r == nil || err != nil {
		return in, err
	}
	defer r.Close() //nolint:errcheck // only read
	head, err := io.ReadAll(io.LimitReader(r, inlineInput+1))
	if err != nil {
		return in, err
	}
	if len(head) <= inlineInput && utf8.Valid(head) && len(head) > 0 {
		in.Text = string(head)
		return in, nil
	}
	answer, err := c.CreateInputWithBodyWithResponse(ctx, "application/octet-stream", io.MultiReader(bytes.NewReader(head), r))
	if err != nil {
		return in, err
	}
	if err := problem(answer, answer.ApplicationProblemJSONDefault); err != nil {
		return in, fmt.Errorf("send the input: %w", err)
	}
	in.Upload = answer.JSON201.ID
	return in, nil
}
