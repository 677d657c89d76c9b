// Command demo shows the grid at work on this machine, without a browser: a
// server, two runners, five jobs at once, one runner killed half-way, and every
// result checked against a truth from outside. make demo calls it. It ends with
// status 1 if anything is wrong, and leaves nothing running.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"text/tabwriter"
	"time"

	"potluck/client"
	"potluck/client/progress"
	"potluck/scripts/localgrid"
)

func main() {
	bin := flag.String("bin", "bin", "folder of the binaries")
	picture := flag.String("picture", "mandelbrot.png", "file for the picture")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *bin, *picture); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// A show is one demonstration.
type show struct {
	grid  *localgrid.Grid
	jobs  []*demoJob
	ada   *localgrid.Process
	grace *localgrid.Process
	kill  sync.Once
}

// A demoJob is a job with the truth about it.
type demoJob struct {
	name    string
	wanted  client.NewJob
	check   func(result []byte) (what string, err error)
	created *client.Job
	done    atomic.Int64
	result  []byte
	err     error
}

func run(ctx context.Context, bin, picture string) error {
	data, err := os.MkdirTemp("", "potluck-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(data) //nolint:errcheck // a temporary folder
	s := &show{}
	if s.grid, err = localgrid.Start(bin, data); err != nil {
		return err
	}
	defer s.grid.Close()
	fmt.Println("A grid is serving at", s.grid.URL, "with two runners, Ada and Grace.")
	for name, p := range map[string]**localgrid.Process{"Ada": &s.ada, "Grace": &s.grace} {
		if *p, err = s.grid.Worker("--name", name, "--slots", "1", "--quiet", "--cache", data+"/runner-"+name); err != nil {
			return err
		}
	}
	if s.jobs, err = jobs(ctx, s.grid, picture); err != nil {
		return err
	}
	start := time.Now()
	if err := s.compute(ctx); err != nil {
		return err
	}
	fmt.Printf("\nAll jobs ended after %.1f s.\n\n", time.Since(start).Seconds())
	if err := s.whoDidWhat(ctx); err != nil {
		return err
	}
	return s.checks()
}

// compute submits all jobs and follows them to their ends.
func (s *show) compute(ctx context.Context) error {
	total := 0
	for _, j := range s.jobs {
		var err error
		if j.created, err = s.grid.Submit(ctx, j.wanted); err != nil {
			return fmt.Errorf("%s: %w", j.name, err)
		}
		total += j.created.Tasks.Total
	}
	fmt.Printf("Five jobs with %d tasks were submitted. Grace will be killed half-way.\n\n", total)
	view := progress.New(false, len("mandelbrot"))
	var wait sync.WaitGroup
	for _, j := range s.jobs {
		wait.Go(func() { j.err = s.follow(ctx, j, view.Bar(j.name), total) })
	}
	wait.Wait()
	view.Wait()
	return ctx.Err()
}

// follow follows one job and fetches its result.
func (s *show) follow(ctx context.Context, j *demoJob, bar *progress.Bar, total int) error {
	defer bar.End()
	last, err := s.grid.Follow(ctx, j.created.ID, func(now *client.Job) bool {
		bar.Set(now.Tasks.Done, now.Tasks.Total, now.Reason)
		j.done.Store(int64(now.Tasks.Done))
		if 2*s.sum() >= total {
			s.kill.Do(s.grace.Kill)
		}
		return false
	})
	if err != nil {
		return err
	}
	if last.State != client.JobStateDone {
		return fmt.Errorf("the job is %s: %s", last.State, last.Reason)
	}
	j.result, err = s.grid.Result(ctx, last.ID)
	return err
}

// sum is how many tasks of all jobs are done.
func (s *show) sum() (n int) {
	for _, j := range s.jobs {
		n += int(j.done.Load())
	}
	return n
}

// whoDidWhat prints how much each runner has done.
func (s *show) whoDidWhat(ctx context.Context) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "who did how much\tAda\tGrace (killed half-way)")
	for _, j := range s.jobs {
		counts, seconds := map[string]int{}, map[string]float64{}
		for cursor := ""; ; {
			page, err := s.grid.ListTasksWithResponse(ctx, j.created.ID, &client.ListTasksParams{Limit: 1000, Cursor: cursor})
			if err != nil {
				return err
			}
			if page.JSON200 == nil {
				return fmt.Errorf("%s: who did it: %s", j.name, page.Body)
			}
			for _, t := range page.JSON200.Tasks {
				for _, v := range t.Volunteers {
					counts[v.Name]++
					seconds[v.Name] += float64(v.Ms) / 1000
				}
			}
			if cursor = page.JSON200.Next; cursor == "" {
				break
			}
		}
		fmt.Fprintf(w, "%s\t%d tasks, %.2f s\t%d tasks, %.2f s\n", j.name, counts["Ada"], seconds["Ada"], counts["Grace"], seconds["Grace"])
	}
	fmt.Fprintln(w)
	return w.Flush()
}

// checks compares every result with the truth.
func (s *show) checks() error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	wrong := 0
	for _, j := range s.jobs {
		what, err := "", j.err
		if err == nil {
			what, err = j.check(j.result)
		}
		verdict := "right"
		if err != nil {
			wrong++
			verdict, what = "WRONG", err.Error()
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", j.name, verdict, what)
	}
	select {
	case <-s.grace.Done():
	default:
		wrong++
		fmt.Fprintln(w, "Grace\tWRONG\tshe was never killed: the jobs ended before their middle was seen")
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if wrong > 0 {
		return fmt.Errorf("%d of %d checks failed", wrong, len(s.jobs)+1)
	}
	fmt.Println("\nEvery result is right, though one of the two runners was lost.")
	return nil
}
