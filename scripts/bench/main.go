// Command bench measures a grid of real processes on this machine, and prints
// its figures beside floors that were measured in the same run: machines
// differ and are noisy, ratios less so. make bench calls it.
package main

import (
	"bytes"
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"potluck/client"
	"potluck/sandbox/process"
	"potluck/sandbox/wasmtest"
	"potluck/scripts/localgrid"
)

var echoModule = wasmtest.Echo()

type bench struct {
	grid  *localgrid.Grid
	out   *tabwriter.Writer
	ctx   context.Context //nolint:containedctx // one for the whole program
	echo  string          // module
	scale float64
	bin   string

	trips, instances float64 // floors, a second
}

func main() {
	if process.IsExecutor() {
		_ = process.Main() // its parent sees the end
		return
	}
	bin := flag.String("bin", "bin", "folder of the binaries")
	only := flag.String("only", "", "run only the measurements whose name contains this")
	scale := flag.Float64("scale", 1, "factor on the number of tasks")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *bin, *only, *scale); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, bin, only string, scale float64) error {
	data, err := os.MkdirTemp("", "potluck-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(data) //nolint:errcheck // a temporary folder
	g, err := localgrid.Start(bin, data)
	if err != nil {
		return err
	}
	defer g.Close()
	b := &bench{bin: bin, grid: g, ctx: ctx, scale: scale, out: tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)}
	if b.echo, err = g.Publish(ctx, echoModule); err != nil {
		return err
	}
	for range 2 {
		if _, err := g.Worker("--slots", "1", "--quiet", "--cache", data+"/worker"); err != nil {
			return err
		}
	}
	for _, m := range []struct {
		name    string
		measure func() error
	}{
		{"floors", b.floors},
		{"echo", b.echoes},
		{"latency", b.latency},
		{"10ms", b.tenMillis},
		{"stragglers", b.stragglers},
		{"million", b.million},
		{"restart", b.restart},
		{"viewers", b.viewers},
		{"browser-first", b.firstTask},
		{"browser-short", b.tabTenMillis},
		{"browser-echo", b.tabEchoes},
		{"browser-kernel", b.kernel},
		{"profile", b.profile},
	} {
		if m.name != "floors" && !strings.Contains(m.name, only) {
			continue
		}
		if err := m.measure(); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		_ = b.out.Flush() // a closed stdout shows at the end
	}
	return nil
}

// row prints a figure, what it is to be compared with, and the aim.
func (b *bench) row(what, figure, beside, aim string) {
	fmt.Fprintf(b.out, "%s\t%s\t%s\t%s\n", what, figure, beside, aim)
}

// lines makes n different inputs of 100 bytes, a line each.
func lines(n int) []byte {
	var all bytes.Buffer
	for i := range n {
		fmt.Fprintf(&all, "%099d\n", i)
	}
	return all.Bytes()
}

// job computes n echo tasks and gives the time from submit to done, and the
// server's own CPU time.
func (b *bench) job(n int) (took, cpu time.Duration, err error) {
	data := lines(n)
	upload, err := b.grid.Upload(b.ctx, data)
	if err != nil {
		return 0, 0, err
	}
	before, start := cpuOf(b.grid.Server.Process.Pid), time.Now()
	result, _, err := b.grid.Compute(b.ctx, client.NewJob{Program: b.echo, Input: client.Input{Upload: upload}})
	took, cpu = time.Since(start), cpuOf(b.grid.Server.Process.Pid)-before
	if err == nil && !bytes.Equal(result, data) {
		err = fmt.Errorf("the result of %d echoes is not their input", n)
	}
	return took, cpu, err
}

func (b *bench) echoes() error {
	if _, _, err := b.job(20_000); err != nil { // warm up
		return err
	}
	n := int(200_000 * b.scale)
	took, cpu, err := b.job(n)
	if err != nil {
		return err
	}
	perSecond := float64(n) / took.Seconds()
	b.row("echo tasks, submit to result, fsynced", rate(n, took),
		fmt.Sprintf("%.2f of the round trips, %.2f of the instances", perSecond/b.trips, perSecond/b.instances), "10,000/s")
	b.row("  the server's own CPU a task", fmt.Sprintf("%.1f µs", cpu.Seconds()*1e6/float64(n)), "", "under 50 µs")
	return nil
}

func rate(n int, took time.Duration) string {
	return fmt.Sprintf("%.0f/s", float64(n)/took.Seconds())
}

// latency measures one task on an idle system, from submit to result. Much of
// it is waiting for the disk, so what one append and fsync takes in between is
// its floor.
func (b *bench) latency() error {
	var all, disk []time.Duration
	f, err := os.CreateTemp("", "potluck-bench-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // a temporary file
	defer f.Close()           //nolint:errcheck // nobody reads it
	for i := range 200 {
		start := time.Now()
		if _, _, err := b.grid.Compute(b.ctx, client.NewJob{Program: b.echo, Input: client.Input{Text: "hello " + strconv.Itoa(i)}}); err != nil {
			return err
		}
		all = append(all, time.Since(start))
		time.Sleep(20 * time.Millisecond) // the server clears up after a job: idle is after that
		start = time.Now()
		if _, err := f.Write(make([]byte, 1024)); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		disk = append(disk, time.Since(start))
	}
	slices.Sort(all)
	slices.Sort(disk)
	median, floor := all[len(all)/2], disk[len(disk)/2]
	b.row("one task on an idle system, submit to result", fmt.Sprintf("%.2f ms median", median.Seconds()*1e3),
		fmt.Sprintf("%.2f ms at the 95th percentile; %.1f × an fsync of %.2f ms", all[len(all)*95/100].Seconds()*1e3, median.Seconds()/floor.Seconds(), floor.Seconds()*1e3), "under 5 ms")
	return nil
}

// tenMillis measures tasks of about 10 ms on two slots against the ideal: the
// same tasks in two executors with no grid around them.
func (b *bench) tenMillis() error {
	tasks := int(600 * b.scale)
	params := fmt.Appendf(nil, `{"tasks":%d,"work":%d}`, tasks, sleeperWork)
	warmUp := client.NewJob{Program: "sleeper", Params: []byte(`{"tasks":50,"work":1}`)} // both workers compile the program
	if _, _, err := b.grid.Compute(b.ctx, warmUp); err != nil {
		return err
	}
	var sum time.Duration
	p, err := inPairs(
		func() (ideal time.Duration, err error) {
			ideal, sum, err = runBare(b.ctx, "sleeper", params)
			return ideal, err
		},
		func() (time.Duration, error) {
			start := time.Now()
			_, _, err := b.grid.Compute(b.ctx, client.NewJob{Program: "sleeper", Params: params})
			return time.Since(start), err
		})
	if err != nil {
		return err
	}
	b.row(fmt.Sprintf("tasks of %.1f ms on two slots", sum.Seconds()*1e3/float64(tasks)), p.share(), p.times(), "at least 97 %")
	return nil
}

// A pair is what something took on the grid and what it takes without one.
type pair struct{ bare, grid time.Duration }

func (p pair) ratio() float64 { return p.bare.Seconds() / p.grid.Seconds() }
func (p pair) share() string  { return fmt.Sprintf("%.1f %% of the ideal", 100*p.ratio()) }
func (p pair) times() string {
	return fmt.Sprintf("%.2f s; bare executors take %.2f s", p.grid.Seconds(), p.bare.Seconds())
}

// pairs is how often the two are measured in turn: what else the machine does
// comes and goes.
const pairs = 3

// inPairs gives the pair with the median ratio.
func inPairs(bare, grid func() (time.Duration, error)) (pair, error) {
	var all []pair
	for range pairs {
		ideal, err := bare()
		if err != nil {
			return pair{}, err
		}
		took, err := grid()
		if err != nil {
			return pair{}, err
		}
		all = append(all, pair{ideal, took})
	}
	slices.SortFunc(all, func(a, b pair) int { return cmp.Compare(a.ratio(), b.ratio()) })
	return all[len(all)/2], nil
}

// sleeperWork makes tasks of about 10 ms on average.
const sleeperWork = 15

func (b *bench) million() error {
	small, _, err := b.job(10_000)
	if err != nil {
		return err
	}
	n := int(1_000_000 * b.scale)
	large, _, err := b.job(n)
	if err != nil {
		return err
	}
	ratio := large.Seconds() / float64(n) / (small.Seconds() / 10_000)
	b.row(fmt.Sprintf("%d tasks in one job", n), rate(n, large), fmt.Sprintf("a task costs %.2f × that of 10,000 tasks", ratio), "at most 1.2")
	b.row("  the server's peak memory", fmt.Sprintf("%d MB", peakOf(b.grid.Server.Process.Pid)>>20), "", "under 500 MB")
	return nil
}

// restart kills the server half-way through a large job and measures how long
// it takes from its new start to the next accepted result.
func (b *bench) restart() error {
	n := int(1_000_000 * b.scale)
	upload, err := b.grid.Upload(b.ctx, lines(n))
	if err != nil {
		return err
	}
	job, err := b.grid.Submit(b.ctx, client.NewJob{Program: b.echo, Input: client.Input{Upload: upload}})
	if err != nil {
		return err
	}
	had := 0
	until := func(enough int) error {
		_, err := b.grid.Follow(b.ctx, job.ID, func(j *client.Job) bool { had = j.Tasks.Done; return had >= enough })
		return err
	}
	if err := until(n / 2); err != nil {
		return err
	}
	b.grid.Server.Kill()
	start := time.Now()
	if err := b.grid.Serve(); err != nil {
		return err
	}
	ready := time.Since(start)
	if err := until(had + 1); err != nil {
		return err
	}
	b.row(fmt.Sprintf("server killed with %d of %d tasks done, back at work", had, n), fmt.Sprintf("%.2f s", time.Since(start).Seconds()),
		fmt.Sprintf("%.2f s until it serves", ready.Seconds()), "under 5 s")
	last, err := b.grid.Await(b.ctx, job.ID)
	if err == nil && last.State != client.JobStateDone {
		err = fmt.Errorf("the job is %s: %s", last.State, last.Reason)
	}
	return err
}

// cpuOf is the CPU time that a process itself has used (Linux).
func cpuOf(pid int) time.Duration {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)) // elsewhere it reads as 0
	_, rest, ok := strings.Cut(string(data), ") ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100
}

// peakOf is the largest memory that a process has had, in bytes (Linux).
func peakOf(pid int) int64 {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)) // elsewhere it reads as 0
	_, rest, _ := strings.Cut(string(data), "VmHWM:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kb, _ := strconv.ParseInt(fields[0], 10, 64)
	return kb << 10
}
