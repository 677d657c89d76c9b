package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"potluck/sandbox"
	"potluck/server/dispatch"
	"potluck/server/ledger"
)

// seedRule is sandbox.Task.Seed in words.
const seedRule = "the first 8 bytes, as a little endian number, of SHA-256(the module's SHA-256, as bytes, then the arguments joined by NUL, then the input)"

// GetReceipt says what a task's output follows from.
func (a *API) GetReceipt(c echo.Context, id string, task int) error {
	ctx := c.Request().Context()
	j, input, err := a.taskInput(ctx, id, task)
	if err != nil {
		return err
	}
	t, err := a.doneTask(ctx, j, task)
	if err != nil {
		return err
	}
	program, err := a.Library.Program(ctx, j.Module)
	if err != nil {
		return err
	}
	args := append([]string{}, program.MapArgs(j.Args)...)
	run := sandbox.Task{Module: sandbox.Module{ID: j.Module}, Args: args, Input: input}
	return c.JSON(http.StatusOK, Receipt{
		Job: j.ID, Task: task, Policy: j.Policy, Provisional: j.State != ledger.Done, Module: string(j.Module), Profile: max(1, j.Profile), Args: args,
		Input: Bytes{Hash: hash(input), Bytes: len(input)}, Output: Bytes{Hash: t.Hash, Bytes: t.Bytes},
		Seed: fmt.Sprintf("%016x", run.Seed()), SeedRule: seedRule, Seconds: a.TaskTime.Seconds(), OutputLimit: a.TaskOutput,
		Volunteers: t.Volunteers, Refereed: t.Refereed, Tries: t.Tries, Dissents: t.Dissents, Lent: t.Lent, Accepted: t.Accepted,
	})
}

// GetTaskInput gives a task's input.
func (a *API) GetTaskInput(c echo.Context, id string, task int) error {
	_, input, err := a.taskInput(c.Request().Context(), id, task)
	if err != nil {
		return err
	}
	serveBytes(c, input)
	return nil
}

// GetTaskOutput gives a task's accepted output. Of a job that is done they are in
// its result.
func (a *API) GetTaskOutput(c echo.Context, id string, task int) error {
	j, err := a.taskOf(id, task)
	if err != nil {
		return err
	}
	if j.State == ledger.Done {
		return refuse(http.StatusConflict, "the job is done, and what its tasks gave is in its result: jobs/%s/result", id)
	}
	output, err := a.ask(c.Request().Context(), id, dispatch.Query{Want: dispatch.WantOutput, From: task})
	if errors.Is(err, dispatch.ErrNoOutput) {
		return refuse(http.StatusConflict, "task %d is not done: it has no output that was accepted", task)
	}
	if err != nil {
		return err
	}
	serveBytes(c, output)
	return nil
}

// serveBytes serves what a task got or gave, as bytes that no browser runs.
func serveBytes(c echo.Context, data []byte) {
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, echo.MIMEOctetStream)
	h.Set("ETag", `"`+hash(data)+`"`)
	http.ServeContent(c.Response(), c.Request(), "", time.Time{}, bytes.NewReader(data))
}

// taskOf finds a job that has a task of a number.
func (a *API) taskOf(id string, task int) (*ledger.Job, error) {
	j, err := a.Ledger.Job(id)
	if err == nil && (task < 0 || task >= j.Tasks) {
		err = refuse(http.StatusNotFound, "the job has no task %d: they are numbered from 0 to %d", task, j.Tasks-1)
	}
	return j, err
}

// taskInput finds a job and the input of one of its tasks.
func (a *API) taskInput(ctx context.Context, id string, task int) (*ledger.Job, []byte, error) {
	j, err := a.taskOf(id, task)
	if err != nil {
		return nil, nil, err
	}
	input, err := a.Ledger.OpenChunks(j.Inputs).Get(ctx, task)
	return j, input, err
}

// doneTask gives the record of a task that is done.
func (a *API) doneTask(ctx context.Context, j *ledger.Job, task int) (Task, error) {
	tasks, _, err := a.tasksFrom(ctx, j, task, 1, true)
	switch {
	case err != nil:
		return Task{}, err
	case len(tasks) > 0 && tasks[0].State == TaskStateSkipped:
		return Task{}, refuse(http.StatusConflict, "task %d was skipped and has no output: %s", task, tasks[0].Reason)
	case len(tasks) == 0 || tasks[0].State != TaskStateDone:
		return Task{}, refuse(http.StatusConflict, "task %d is not done yet: ask again when it is", task)
	}
	return tasks[0], nil
}

func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
