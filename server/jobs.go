package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"potluck/client"
	"potluck/client/terminal"
)

type jobsCommand struct {
	remote
	State  string `help:"Only jobs in this state: running, paused, done, failed or cancelled."`
	Search string `help:"Only jobs with this in their title, program or id." placeholder:"TEXT"`
	Limit  int    `help:"How many, the newest first." default:"50"`
}

// pageSize is the most that one request gives.
const pageSize = 200

// Run lists jobs.
func (j *jobsCommand) Run(ctx context.Context) error {
	c, err := j.client()
	if err != nil {
		return err
	}
	page, err := j.list(ctx, c)
	if err != nil {
		return err
	}
	if j.JSON {
		return printJSON(page)
	}
	w := tabwriter.NewWriter(terminal.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tSTATE\tTASKS\tCREATED\tTITLE")
	for _, job := range page.Jobs {
		fmt.Fprintf(w, "%s\t%s\t%d/%d\t%s\t%s\n", job.ID, job.State, job.Tasks.Done, job.Tasks.Total,
			job.Created.Local().Format(time.DateTime), job.Title)
	}
	if page.Next != "" {
		fmt.Fprintln(os.Stderr, "There are more: use --limit.")
	}
	return w.Flush()
}

// list gets as many jobs as are wanted, page by page.
func (j *jobsCommand) list(ctx context.Context, c *client.ClientWithResponses) (all client.JobPage, err error) {
	for {
		answer, err := c.ListJobsWithResponse(ctx, &client.ListJobsParams{
			State: client.JobState(j.State), Q: j.Search, Limit: min(j.Limit-len(all.Jobs), pageSize), Cursor: all.Next,
		})
		if err != nil {
			return all, err
		}
		if err := problem(answer, answer.ApplicationProblemJSONDefault); err != nil {
			return all, err
		}
		all.Jobs, all.Next = append(all.Jobs, answer.JSON200.Jobs...), answer.JSON200.Next
		if all.Next == "" || len(all.Jobs) >= j.Limit {
			return all, nil
		}
	}
}

// one is a command on one job.
type one struct {
	remote
	ID string `arg:"" help:"The job."`
}

func (o *one) show(j *client.Job) error {
	if o.JSON {
		return printJSON(j)
	}
	w := tabwriter.NewWriter(terminal.Out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(w, name+"\t"+format+"\n", args...) }
	row("job", "%s", j.ID)
	row("title", "%s", j.Title)
	row("state", "%s", j.State)
	if j.Reason != "" {
		row("why", "%s", j.Reason)
	}
	t := j.Tasks
	row("tasks", "%d of %d done, %d being computed, %d waiting, %d with a result that waits for others", t.Done, t.Total, t.Lent, t.Waiting, t.Voting)
	if t.Skipped > 0 {
		row("skipped", "%d tasks", t.Skipped)
		for _, s := range j.Skipped {
			row("", "%s", s.Reason)
		}
	}
	row("policy", "%s", j.Policy)
	row("created", "%s", j.Created.Local().Format(time.DateTime))
	if !j.Finished.IsZero() {
		row("finished", "%s", finished(j))
	}
	if j.Bytes > 0 {
		row("result", "%d bytes of %s", j.Bytes, j.Media)
	}
	for _, f := range j.Failures {
		row("failure", "task %d, by %s: %s", f.Task, f.By, f.Reason)
		if f.Input != "" {
			row("", "its input: %s", f.Input)
		}
		if f.Stderr != "" {
			row("", "it wrote: %s", strings.ReplaceAll(f.Stderr, "\n", "\n\t"))
		}
	}
	return w.Flush()
}

// finished says when a job ended and how long it took. Who set the server's clock
// back meanwhile is told the first only.
func finished(j *client.Job) string {
	text := j.Finished.Local().Format(time.DateTime)
	if took := j.Finished.Sub(j.Created); took >= 0 {
		text += ", after " + took.Round(time.Millisecond).String()
	}
	return text
}

type jobCommand struct{ one }

// Run shows a job.
func (j *jobCommand) Run(ctx context.Context) error {
	c, err := j.client()
	if err != nil {
		return err
	}
	answer, err := c.GetJobWithResponse(ctx, j.ID)
	if err != nil {
		return err
	}
	if err := problem(answer, answer.ApplicationProblemJSONDefault); err != nil {
		return err
	}
	return j.show(answer.JSON200)
}

func (o *one) change(ctx context.Context, action client.JobAction) error {
	c, err := o.client()
	if err != nil {
		return err
	}
	answer, err := c.ChangeJobWithResponse(ctx, o.ID, action)
	if err != nil {
		return err
	}
	if err := problem(answer, answer.ApplicationProblemJSONDefault); err != nil {
		return err
	}
	return o.show(answer.JSON200)
}

type (
	cancelCommand struct{ one }
	pauseCommand  struct{ one }
	resumeCommand struct{ one }
	retryCommand  struct{ one }
	deleteCommand struct {
		grid
		ID string `arg:"" help:"The job."`
	}
)

// Run cancels a job.
func (c *cancelCommand) Run(ctx context.Context) error {
	return c.change(ctx, client.JobActionCancel)
}

// Run pauses a job.
func (c *pauseCommand) Run(ctx context.Context) error { return c.change(ctx, client.JobActionPause) }

// Run resumes a job.
func (c *resumeCommand) Run(ctx context.Context) error {
	return c.change(ctx, client.JobActionResume)
}

// Run sets a failed job running again.
func (c *retryCommand) Run(ctx context.Context) error { return c.change(ctx, client.JobActionRetry) }

// Run deletes a job.
func (c *deleteCommand) Run(ctx context.Context) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	answer, err := api.DeleteJobWithResponse(ctx, c.ID)
	if err != nil {
		return err
	}
	return problem(answer, answer.ApplicationProblemJSONDefault)
}

type resultCommand struct {
	grid
	ID      string `arg:"" help:"The job."`
	Partial bool   `help:"Take what there is so far, also if the job failed or was cancelled." xor:"what"`
	Task    *int   `help:"Take the output of one task, of a job that is not done." placeholder:"N" xor:"what"`
	Output  string `short:"o" help:"File for the result; stdout by default." placeholder:"FILE"`
}

// Run fetches a result.
func (r *resultCommand) Run(ctx context.Context) error {
	c, err := r.client()
	if err != nil {
		return err
	}
	if r.Task != nil {
		return fetchTask(ctx, c, r.ID, *r.Task, r.Output)
	}
	if err := fetch(ctx, c, r.ID, r.Partial, r.Output); err != nil {
		return err
	}
	answer, err := c.GetJobWithResponse(ctx, r.ID)
	if err != nil {
		return err
	}
	if answer.JSON200 != nil {
		sayMissing(answer.JSON200)
	}
	return nil
}

type tasksCommand struct {
	one
	CSV bool `help:"Print CSV, a line for each volunteer of each task."`
}

// Run says who computed what.
func (t *tasksCommand) Run(ctx context.Context) error {
	c, err := t.client()
	if err != nil {
		return err
	}
	if t.CSV || t.JSON {
		return t.stream(ctx, c)
	}
	w := tabwriter.NewWriter(terminal.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TASK\tACCEPTED\tBYTES\tVOLUNTEERS")
	for cursor := "0"; cursor != ""; {
		answer, err := c.ListTasksWithResponse(ctx, t.ID, &client.ListTasksParams{Cursor: cursor, Limit: 1000})
		if err != nil {
			return err
		}
		if err := problem(answer, answer.ApplicationProblemJSONDefault); err != nil {
			return err
		}
		for _, task := range answer.JSON200.Tasks {
			fmt.Fprintf(w, "%d\t%s\t%d\t%s\n", task.Task, task.Accepted.Local().Format("15:04:05.000"), task.Bytes, voters(task.Volunteers))
		}
		cursor = answer.JSON200.Next
	}
	return w.Flush()
}

func voters(all []client.Voter) string {
	texts := make([]string, len(all))
	for i, v := range all {
		if v.Name == "" {
			v.Name = v.ID
		}
		texts[i] = fmt.Sprintf("%s (%d ms)", v.Name, v.Ms)
	}
	return strings.Join(texts, ", ")
}

// stream prints all records as the server gives them.
func (t *tasksCommand) stream(ctx context.Context, c *client.ClientWithResponses) error {
	accept := "application/x-ndjson"
	if t.CSV {
		accept = "text/csv"
	}
	resp, err := c.ListTasks(ctx, t.ID, &client.ListTasksParams{}, func(_ context.Context, r *http.Request) error {
		r.Header.Set("Accept", accept)
		return nil
	})
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode != http.StatusOK {
		answer, err := client.ParseListTasksResponse(resp)
		if err != nil {
			return err
		}
		return problem(answer, answer.ApplicationProblemJSONDefault)
	}
	return save("-", resp.Body)
}

type programsCommand struct{ remote }

// Run lists programs.
func (p *programsCommand) Run(ctx context.Context) error {
	c, err := p.client()
	if err != nil {
		return err
	}
	answer, err := c.ListProgramsWithResponse(ctx)
	if err != nil {
		return err
	}
	if err := problem(answer, answer.ApplicationProblemJSONDefault); err != nil {
		return err
	}
	if p.JSON {
		return printJSON(answer.JSON200)
	}
	w := tabwriter.NewWriter(terminal.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PROGRAM\tRESULT\tWHAT IT DOES")
	for _, program := range *answer.JSON200 {
		fmt.Fprintf(w, "%s\t%s\t%s\n", program.Name, program.Result, program.Summary)
	}
	return w.Flush()
}
