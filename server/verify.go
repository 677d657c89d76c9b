package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"time"

	"potluck/client"
	"potluck/client/progress"
	"potluck/client/terminal"
	"potluck/sandbox"
	"potluck/server/app"
)

type verifyCommand struct {
	remote
	Receipt string `arg:"" optional:"" help:"File with a receipt, - for stdin."`
	Module  string `help:"The module, instead of fetching it." type:"existingfile"`
	Input   string `help:"The task's input, instead of fetching it." type:"existingfile"`
	Job     string `help:"Verify tasks of a whole job." placeholder:"ID"`
	Sample  int    `help:"How many of them, chosen by chance." default:"20"`
	Seed    uint64 `help:"Makes the same choice again; 0 is another one each time."`
	Cache   string `help:"Folder for machine code; the system's cache folder by default." env:"POTLUCK_CACHE"`
	Quiet   bool   `short:"q" help:"Show no progress."`
}

// A verified task is what came of computing it again.
type verified struct {
	Job        string         `json:"job"`
	Task       int            `json:"task"`
	Agrees     bool           `json:"agrees"`
	Output     string         `json:"output"` // hash of what it gave here
	Receipt    string         `json:"receipt"`
	Failure    string         `json:"failure,omitempty"`
	Volunteers []client.Voter `json:"volunteers"`
}

// Run computes again what a receipt, or receipts of a job, say.
func (v *verifyCommand) Run(ctx context.Context) error {
	if (v.Receipt == "") == (v.Job == "") {
		return &status{exitUsage, "say what to verify: a receipt's file, or --job ID"}
	}
	c, err := v.client()
	if err != nil {
		return err
	}
	verifier, err := app.NewVerifier(cacheFolder(v.Cache))
	if err != nil {
		return err
	}
	defer verifier.Close() //nolint:errcheck // a temporary folder
	check := checker{command: v, client: c, verifier: verifier}
	if v.Job == "" {
		return check.file(ctx, v.Receipt)
	}
	return check.job(ctx, v.Job)
}

// A checker fetches what receipts name and computes it again.
type checker struct {
	command  *verifyCommand
	client   *client.ClientWithResponses
	verifier *app.Verifier
	module   []byte // the last one
}

func (c *checker) file(ctx context.Context, name string) error {
	in := io.Reader(os.Stdin)
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close() //nolint:errcheck // only read
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, 1<<20))
	if err != nil {
		return err
	}
	var r client.Receipt
	if err := json.Unmarshal(data, &r); err != nil || r.Module == "" || r.Output.Hash == "" {
		return errors.Join(errors.New("this is no receipt: take the answer of /api/v1/jobs/{id}/tasks/{n}/receipt"), err)
	}
	one, err := c.verify(ctx, &r)
	if err != nil {
		return err
	}
	return c.report([]verified{one})
}

// job verifies a sample of the tasks of a job.
func (c *checker) job(ctx context.Context, id string) error {
	got, err := c.client.GetJobWithResponse(ctx, id)
	if err != nil {
		return c.command.unreached(err)
	}
	if err := problem(got, got.ApplicationProblemJSONDefault); err != nil {
		return err
	}
	view := progress.New(c.command.Quiet, len(id))
	bar := view.Bar(id)
	tasks := c.choose(got.JSON200.Tasks.Total)
	var all []verified
	for i, task := range tasks {
		r, err := c.client.GetReceiptWithResponse(ctx, id, task)
		if err != nil {
			return c.command.unreached(err)
		}
		if err := problem(r, r.ApplicationProblemJSONDefault); err != nil {
			return fmt.Errorf("the receipt of task %d: %w", task, err)
		}
		one, err := c.verify(ctx, r.JSON200)
		if err != nil {
			return fmt.Errorf("task %d: %w", task, err)
		}
		all = append(all, one)
		bar.Set(i+1, len(tasks), "")
	}
	bar.End()
	view.Wait()
	return c.report(all)
}

// choose picks tasks by chance, in the order of their numbers.
func (c *checker) choose(total int) []int {
	seed := cmp.Or(c.command.Seed, uint64(time.Now().UnixNano()))
	chosen := rand.New(rand.NewPCG(seed, 0)).Perm(total) //nolint:gosec // whoever verifies is free to choose
	chosen = chosen[:min(max(1, c.command.Sample), total)]
	slices.Sort(chosen)
	return chosen
}

// slower is how many times longer than a volunteer this machine may take.
const slower = 3

// verify computes what a receipt says.
func (c *checker) verify(ctx context.Context, r *client.Receipt) (verified, error) {
	one := verified{Job: r.Job, Task: r.Task, Receipt: r.Output.Hash, Volunteers: r.Volunteers}
	if err := c.fetchModule(ctx, r.Module); err != nil {
		return one, err
	}
	input, err := c.input(ctx, r)
	if err != nil {
		return one, err
	}
	o, err := c.verifier.Compute(ctx, c.module, sandbox.Task{
		Module: sandbox.Module{Profile: r.Profile}, Args: r.Args, Input: input, Time: slower * time.Duration(r.Seconds*float64(time.Second)), Output: r.OutputLimit,
	})
	if err != nil {
		return one, err
	}
	if ctx.Err() != nil {
		return one, ctx.Err()
	}
	one.Output = string(sandbox.Hash(o.Output))
	if f := o.Failure; f != nil {
		if f.Kind != sandbox.Exit && f.Kind != sandbox.Output { // this machine's doing, perhaps
			return one, fmt.Errorf("it could not be computed here: %w", o.Err())
		}
		one.Output, one.Failure = "", o.Err().Error()
	}
	one.Agrees = one.Output == one.Receipt
	return one, nil
}

// fetchModule gets the module with a hash, unless it was the last one too.
func (c *checker) fetchModule(ctx context.Context, id string) (err error) {
	if string(sandbox.Hash(c.module)) == id {
		return nil
	}
	if name := c.command.Module; name != "" {
		c.module, err = os.ReadFile(name)
	} else {
		c.module, err = c.bytes(c.client.GetModule(ctx, id))
	}
	if err == nil && string(sandbox.Hash(c.module)) != id {
		err = fmt.Errorf("the module's bytes hash to %s, the receipt names %s: it is another module", sandbox.Hash(c.module), id)
	}
	return err
}

func (c *checker) input(ctx context.Context, r *client.Receipt) (input []byte, err error) {
	if name := c.command.Input; name != "" {
		input, err = os.ReadFile(name)
	} else {
		input, err = c.bytes(c.client.GetTaskInput(ctx, r.Job, r.Task))
	}
	if err == nil && string(sandbox.Hash(input)) != r.Input.Hash {
		err = fmt.Errorf("the input's bytes hash to %s, the receipt names %s: it is another input", sandbox.Hash(input), r.Input.Hash)
	}
	return input, err
}

// bytes reads an answer that is not JSON.
func (c *checker) bytes(resp *http.Response, err error) ([]byte, error) {
	if err != nil {
		return nil, c.command.unreached(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		var p client.Problem
		if json.Unmarshal(data, &p) != nil || p.Detail == "" {
			p.Detail = resp.Status
		}
		return nil, errors.New(p.Detail)
	}
	return data, nil
}

// report says what came of it.
func (c *checker) report(all []verified) error {
	wrong := 0
	for _, one := range all {
		if !one.Agrees {
			wrong++
		}
	}
	if c.command.JSON {
		if err := printJSON(all); err != nil {
			return err
		}
	} else {
		for _, one := range all {
			fmt.Fprintln(terminal.Out, one)
		}
	}
	if wrong > 0 {
		return &status{exitDisagrees, fmt.Sprintf("%d of %d results are not what the programs give here", wrong, len(all))}
	}
	fmt.Fprintf(os.Stderr, "%d of %d results are what the programs give here, byte for byte\n", len(all), len(all))
	return nil
}

// String is a line for people.
func (v verified) String() string {
	names := make([]string, 0, len(v.Volunteers))
	for _, one := range v.Volunteers {
		names = append(names, cmp.Or(one.Name, one.ID))
	}
	switch {
	case v.Agrees:
		return fmt.Sprintf("task %d agrees: %s", v.Task, v.Output)
	case v.Failure != "":
		return fmt.Sprintf("task %d DISAGREES: it failed here: %s; the receipt says %s, by %v", v.Task, v.Failure, v.Receipt, names)
	}
	return fmt.Sprintf("task %d DISAGREES: %s here; the receipt says %s, by %v", v.Task, v.Output, v.Receipt, names)
}
