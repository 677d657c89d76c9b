// Command sabotage shows what becomes of liars: honest runners, fewer than those
// that lie, work on a picture with them, on a real server. It must come out right, and the liars
// must be in quarantine. make demo-sabotage calls it. It ends with status 1 if
// anything is otherwise, and leaves nothing running.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"potluck/client"
	"potluck/client/progress"
	"potluck/scripts/localgrid"
	"potluck/scripts/truth"
)

func main() {
	bin := flag.String("bin", "bin", "folder of the binaries")
	width := flag.Int("width", 1280, "width of the picture in pixels; its height is three quarters of that")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *bin, *width); err != nil {
		fmt.Fprintln(os.Stderr, "sabotage:", err)
		os.Exit(1)
	}
}

// A liar is a runner that does not tell the truth.
type liar struct {
	name, how string
	args      []string
	process   *localgrid.Process
}

func liars() []*liar {
	return []*liar{
		{name: "Mallory", how: "lies from the first task on"},
		{name: "Trudy", how: "is honest until she is established, then lies with Eve", args: []string{"-after", "12", "-agree"}},
		{name: "Eve", how: "likewise: both tell the same lie", args: []string{"-after", "12", "-agree"}},
	}
}

func run(ctx context.Context, bin string, width int) error {
	dir, err := os.MkdirTemp("", "potluck-sabotage-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	tool := filepath.Join(dir, "liar")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", tool, "potluck/scripts/sabotage/liar").CombinedOutput(); err != nil { //nolint:gosec // our own tree
		return fmt.Errorf("build the liar: %w\n%s", err, out)
	}
	for _, s := range []show{
		{policy: "adaptive", honest: []string{"Ada"}},
		{policy: "strict:2", honest: []string{"Ada", "Grace"}}, // two must agree, when nobody else is left
	} {
		s.dir, s.tool, s.liars = filepath.Join(dir, strings.ReplaceAll(s.policy, ":", "")), tool, liars()
		s.view = truth.Picture{Width: width, Height: width * 3 / 4, Center: [2]float64{-0.7436, 0.1318}, Zoom: 80, Iterations: 500}
		if err := s.play(ctx, bin); err != nil {
			return fmt.Errorf("%s: %w", s.policy, err)
		}
	}
	return nil
}

// A show is one job under attack.
type show struct {
	dir, tool, policy string
	honest            []string
	view              truth.Picture
	liars             []*liar
	grid              *localgrid.Grid
}

func (s *show) play(ctx context.Context, bin string) (err error) {
	if s.grid, err = localgrid.Start(bin, filepath.Join(s.dir, "data"), "--referee-share", "1"); err != nil {
		return err
	}
	defer s.grid.Close()
	fmt.Printf("\nPolicy %s, at %s. Honest: %s.\n", s.policy, s.grid.URL, strings.Join(s.honest, ", "))
	for _, name := range s.honest {
		if _, err := s.grid.Worker("--name", name, "--slots", "1", "--quiet", "--cache", filepath.Join(s.dir, name)); err != nil {
			return err
		}
	}
	for _, l := range s.liars {
		fmt.Printf("%s %s.\n", l.name, l.how)
		args := append([]string{"-server", s.grid.URL, "-name", l.name, "-cache", filepath.Join(s.dir, l.name)}, l.args...)
		if l.process, err = s.grid.Run(s.tool, args...); err != nil {
			return err
		}
	}
	for range maxJobs { // until those who hide have come out
		if err := s.draw(ctx); err != nil {
			return err
		}
		if !slices.ContainsFunc(s.liars, (*liar).atWork) {
			break
		}
	}
	return s.sentAway(ctx)
}

// maxJobs is how often the picture is drawn.
const maxJobs = 5

// draw has the picture drawn, and it must be right.
func (s *show) draw(ctx context.Context) error {
	params, err := json.Marshal(s.view)
	if err != nil {
		return err
	}
	j, err := s.grid.Submit(ctx, client.NewJob{Program: "mandelbrot", Params: params, Policy: s.policy})
	if err != nil {
		return err
	}
	if err := s.follow(ctx, j.ID); err != nil {
		return err
	}
	return s.right(ctx, j.ID)
}

// follow shows how the job goes on, until it is done.
func (s *show) follow(ctx context.Context, id string) error {
	view := progress.New(false, len(s.policy))
	bar := view.Bar(s.policy)
	last, err := s.grid.Follow(ctx, id, func(j *client.Job) bool {
		bar.Set(j.Tasks.Done, j.Tasks.Total, j.Reason)
		return false
	})
	bar.End()
	view.Wait()
	if err == nil && last.State != client.JobStateDone {
		err = fmt.Errorf("the job is %s: %s", last.State, last.Reason)
	}
	return err
}

// atWork says whether a liar has not ended.
func (l *liar) atWork() bool {
	select {
	case <-l.process.Done():
		return false
	default:
		return true
	}
}

// patience is how long a liar may go on after the last job.
const patience = 30 * time.Second

// sentAway wants every liar to have been refused.
func (s *show) sentAway(ctx context.Context) error {
	for _, l := range s.liars {
		select {
		case <-l.process.Done():
		case <-time.After(patience):
			return fmt.Errorf("%s is still at work", l.name)
		case <-ctx.Done():
			return ctx.Err()
		}
		if why := l.process.Log.String(); l.process.ProcessState.ExitCode() != 3 || !strings.Contains(why, "gets no more work") {
			return fmt.Errorf("%s ended otherwise: %s", l.name, why)
		}
		fmt.Printf("%s is in quarantine.\n", l.name)
	}
	return nil
}

// right wants the picture to be the true one, and no word behind it of those
// who were caught. Liars who still hide have told the truth so far.
func (s *show) right(ctx context.Context, id string) error {
	picture, err := s.grid.Result(ctx, id)
	if err != nil {
		return err
	}
	if err := truth.CheckPicture(picture, s.view); err != nil {
		return err
	}
	results, answers := 0, 0
	for cursor := ""; ; {
		page, err := s.grid.ListTasksWithResponse(ctx, id, &client.ListTasksParams{Limit: 1000, Cursor: cursor})
		if err != nil {
			return err
		}
		for _, task := range page.JSON200.Tasks {
			results++
			answers += task.Tries
			for _, v := range task.Volunteers {
				if slices.ContainsFunc(s.liars, func(l *liar) bool { return l.name == v.Name && !l.atWork() }) {
					return fmt.Errorf("task %d rests on the word of %s", task.Task, v.Name)
				}
			}
		}
		if cursor = page.JSON200.Next; cursor == "" {
			break
		}
	}
	fmt.Printf("%d × %d pixels are those that are drawn natively; %d tasks were lent %d times, and the word of nobody who was caught counts.\n", s.view.Width, s.view.Height, results, answers)
	return nil
}
