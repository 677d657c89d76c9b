package main

import (
	"bytes"
	"context"
	"fmt"

	"potluck/client/progress"
	"potluck/client/terminal"
	"potluck/sandbox/shelf"
	"potluck/server/app"
)

type runCommand struct {
	job
	Slots int    `help:"Tasks to compute at a time; 0 is one a core." default:"0"`
	Cache string `help:"Folder for machine code; the system's cache folder by default." env:"POTLUCK_CACHE"`
	Quiet bool   `short:"q" help:"Show no progress."`
}

// Run runs a job here.
func (r *runCommand) Run(ctx context.Context) error {
	if err := r.Arg.check(); err != nil {
		return err
	}
	params, err := r.params()
	if err != nil {
		return err
	}
	input, err := r.open()
	if err != nil {
		return err
	}
	if input != nil {
		defer input.Close() //nolint:errcheck // only read
	}
	cache, remove := shelf.Folder(r.Cache, notice)
	defer remove()
	local := app.LocalJob{
		Program: r.Program, Params: params, Args: r.Arg, Split: r.Split,
		Collect: r.Collect, Slots: r.Slots, Cache: cache, Notice: notice,
	}
	if input != nil {
		local.Input = input
	}
	view := progress.New(r.Quiet, len(r.Program))
	bar := view.Bar(r.Program)
	local.Progress = func(done, total int) { bar.Set(done, total, "") }
	var result bytes.Buffer
	err = app.RunLocal(ctx, local, &result)
	bar.End()
	view.Wait()
	if err != nil {
		return err
	}
	return save(r.Output, &result)
}

// notice says on stderr what costs time and nothing else.
var notice = shelf.Notice(func(what, why string) {
	fmt.Fprintf(terminal.Err, "potluck: %s: %s\n", what, why)
}).Once()
