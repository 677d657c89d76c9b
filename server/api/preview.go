package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"potluck/contract"
	"potluck/sandbox"
	"potluck/server/scratch"
)

const (
	// trialTime is how long a task is tried for a preview.
	trialTime = sandbox.Brief
	// trialWait is how long a preview waits to try one: they take turns, so that
	// running jobs keep the server's executors.
	trialWait = 10 * time.Second
)

// PreviewJob says what a job would be. It is checked and split as it would be,
// and a task from its middle is tried: the first and the last are more often not
// like the others. Then the first is, for it may be a header that fails.
func (a *API) PreviewJob(c echo.Context) error {
	body, err := readBody(c)
	if err != nil {
		return err
	}
	wanted, err := parseJob(body)
	if err != nil {
		return err
	}
	release, err := a.preview(callerOf(c))
	if err != nil {
		return err
	}
	defer release()
	ctx, cancel := context.WithCancel(c.Request().Context()) // it ends with its client
	defer cancel()
	defer context.AfterFunc(a.ctx, cancel)() // and with the server
	preview, err := a.previewOf(ctx, callerOf(c), wanted)
	switch {
	case a.ctx.Err() != nil:
		return refuse(http.StatusServiceUnavailable, "this server is shutting down: ask again in a moment")
	case err != nil:
		return err
	}
	return c.JSON(http.StatusOK, preview)
}

func (a *API) previewOf(ctx context.Context, p caller, wanted NewJob) (preview Preview, err error) {
	d, err := a.draft(ctx, p, "", wanted)
	if err != nil {
		return preview, err
	}
	preview, first, middle, err := a.look(ctx, d, wanted.Input)
	if err != nil {
		return preview, err
	}
	a.try(ctx, d, middle, preview.tried)
	if preview.Complete && preview.Failure == "" && preview.Tasks > 2 {
		a.try(ctx, d, first, preview.triedFirst)
	}
	return preview, err
}

// look splits a job and gives the numbers, the first input and the one in the middle.
func (a *API) look(ctx context.Context, d *draft, in Input) (p Preview, first, middle []byte, err error) {
	f := scratch.New(a.Scratch)
	defer f.Close() //nolint:errcheck // nothing of it is needed
	w := bufio.NewWriterSize(f, 256<<10)
	var record []byte
	inputs, err := a.inputs(ctx, d, in, func(input []byte) error {
		if record == nil {
			first = bytes.Clone(input)
		}
		record = contract.AppendRecord(record[:0], input)
		_, err := w.Write(record)
		return err
	})
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		middle, err = recordAt(f.Reader(), inputs.Count/2)
	}
	return Preview{Tasks: inputs.Count, Bytes: inputs.Bytes}, first, middle, err
}

// recordAt reads one of many records.
func recordAt(records io.Reader, number int) ([]byte, error) {
	r := bufio.NewReaderSize(records, 256<<10)
	for i := 0; ; i++ {
		size, err := binary.ReadUvarint(r)
		if err == nil && i == number {
			record := make([]byte, size)
			_, err = io.ReadFull(r, record)
			return record, err
		}
		if err == nil {
			_, err = r.Discard(int(size))
		}
		if err != nil {
			return nil, fmt.Errorf("read input %d again: %w", i, err)
		}
	}
}

// try computes a task and notes how that went, unless there was no turn in time.
func (a *API) try(ctx context.Context, d *draft, input []byte, note func(o sandbox.Outcome, limit time.Duration)) {
	waited, cancel := context.WithTimeout(ctx, trialWait)
	defer cancel()
	select {
	case a.trial <- struct{}{}:
		defer func() { <-a.trial }()
	case <-waited.Done():
		return
	}
	ctx, cancel = context.WithTimeout(ctx, trialWait+trialTime)
	defer cancel()
	o := a.Pool.For(d.account()).Run(ctx, sandbox.Task{
		Module: d.program.Module, Args: d.program.MapArgs(d.Args), Input: input,
		Time: min(trialTime, a.TaskTime), Output: a.TaskOutput,
	})
	if f := o.Failure; ctx.Err() != nil || f != nil && f.Kind == sandbox.Machine {
		return // all executors are busy, or the server has trouble of its own
	}
	note(o, a.TaskTime)
}

// tried notes what became of the task that was tried. That it ran too long is
// its failure only if it would be one on a worker.
func (p *Preview) tried(o sandbox.Outcome, limit time.Duration) {
	stopped := o.Failure != nil && o.Failure.Kind == sandbox.Time
	p.TaskSeconds, p.Complete = o.Took.Seconds(), !stopped
	if o.Failure != nil && (!stopped || limit <= trialTime) {
		p.Failure = o.Err().Error()
	}
}

// triedFirst notes a failure of the first task; how long a task takes the one from
// the middle says.
func (p *Preview) triedFirst(o sandbox.Outcome, limit time.Duration) {
	var first Preview
	if first.tried(o, limit); first.Failure != "" {
		p.Failure = "the first task, unlike one from the middle: " + first.Failure
	}
}
