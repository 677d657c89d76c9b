// Command potluck is the grid: it serves one, and it is the command line of
// those who submit jobs. What it prints to stdout is data, what it prints to
// stderr is for people.
//
// Exit status: 0 all went well, 1 an error, 2 wrong usage, 3 the job failed,
// 4 the job was cancelled, 5 a result that was verified is not what the program
// gives here, 130 interrupted.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"potluck/client/terminal"
	"potluck/sandbox/process"
)

var version = "dev" // set by make

type cli struct {
	Serve    serveCommand    `cmd:"" help:"Serve a grid."`
	Submit   submitCommand   `cmd:"" help:"Submit a job, and perhaps wait for its result."`
	Run      runCommand      `cmd:"" help:"Run a whole job on this machine, without a server."`
	Jobs     jobsCommand     `cmd:"" help:"List jobs."`
	Job      jobCommand      `cmd:"" help:"Show a job."`
	Tasks    tasksCommand    `cmd:"" help:"Say who computed what."`
	Result   resultCommand   `cmd:"" help:"Fetch the result of a job."`
	Cancel   cancelCommand   `cmd:"" help:"Cancel a job."`
	Pause    pauseCommand    `cmd:"" help:"Pause a job."`
	Resume   resumeCommand   `cmd:"" help:"Resume a paused job."`
	Retry    retryCommand    `cmd:"" help:"Set a failed job running again."`
	Delete   deleteCommand   `cmd:"" help:"Delete a job that has ended, and its result."`
	Verify   verifyCommand   `cmd:"" help:"Compute results again, and say whether the bytes agree."`
	Programs programsCommand `cmd:"" help:"List the programs that come with a grid."`

	Token     tokenCommand     `cmd:"" help:"Make, list and revoke tokens."`
	Approve   approveCommand   `cmd:"" help:"Let those without a token run a program of your own."`
	Approvals approvalsCommand `cmd:"" help:"List the programs that were approved."`
	Pardon    pardonCommand    `cmd:"" help:"Lift the quarantine of a volunteer, who is a newcomer again."`

	Backup  backupCommand  `cmd:"" help:"Write an archive of a grid that is stopped."`
	Restore restoreCommand `cmd:"" help:"Make a grid of an archive."`

	Version kong.VersionFlag `help:"Print the version."`
}

// The exit statuses beyond 0 and 1.
const (
	exitUsage       = 2
	exitFailed      = 3
	exitCancelled   = 4
	exitDisagrees   = 5
	exitInterrupted = 130
)

// A status is an error with an exit status of its own.
type status struct {
	code int
	text string
}

func (s *status) Error() string { return s.text }

func main() {
	if process.IsExecutor() {
		os.Exit(report(process.Main()))
	}
	var c cli
	parser := kong.Must(&c, kong.Name("potluck"), kong.UsageOnError(), kong.Vars{"version": version},
		kong.Description("A grid computer made of borrowed browser tabs."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}), kong.WithHyphenPrefixedParameters(true))
	chosen, err := parser.Parse(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "potluck:", err)
		fmt.Fprintln(os.Stderr, "Try: potluck --help")
		os.Exit(exitUsage)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second signal has its usual effect
	chosen.BindTo(ctx, (*context.Context)(nil))
	err = chosen.Run()
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = &status{exitInterrupted, "interrupted"}
	}
	os.Exit(report(err))
}

// report says what went wrong and gives the exit status.
func report(err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(terminal.Err, "potluck:", err)
	if s, ok := errors.AsType[*status](err); ok {
		return s.code
	}
	return 1
}
