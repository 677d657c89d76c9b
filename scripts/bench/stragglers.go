package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"potluck/client"
	"potluck/sandbox"
	"potluck/scripts/localgrid"
	"potluck/wasmworker/agent"
	"potluck/wire"
)

const (
	napTasks   = 200
	napTime    = 500 * time.Millisecond
	napRunners = 4
)

// A napper is an engine that waits instead of computing, one task after the
// other, so that four of them have a core each on any machine. Frozen, it answers
// nothing any more.
type napper struct {
	frozen atomic.Bool
	turn   sync.Mutex // whoever holds it naps
}

func (*napper) Load(ctx context.Context, _ agent.Module, fetch func(context.Context) ([]byte, error)) *wire.Failure {
	if _, err := fetch(ctx); err != nil {
		return &wire.Failure{Kind: string(sandbox.Machine), Message: err.Error()}
	}
	return nil
}

func (*napper) Forget(string) {}

func (n *napper) Start(_ int, t agent.Task, done func(agent.Outcome)) (stop func()) {
	stopped := make(chan struct{})
	go func() {
		n.turn.Lock()
		defer n.turn.Unlock()
		select {
		case <-stopped:
		case <-time.After(napTime):
		}
		if !n.frozen.Load() {
			done(agent.Outcome{Output: t.Input, Took: napTime})
		}
	}()
	return sync.OnceFunc(func() { close(stopped) })
}

// stragglers measures a job on four runners of one slot, of which one freezes at
// a random time. The ideal is what four do until then and three after it, with
// nothing lost but the task that was under way.
func (b *bench) stragglers() error {
	data, err := os.MkdirTemp("", "potluck-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(data) //nolint:errcheck // a temporary folder
	g, err := localgrid.Start(b.bin, data)
	if err != nil {
		return err
	}
	defer g.Close()
	worst, mean := 0.0, 0.0
	const runs = 3
	for range runs {
		ratio, err := b.freezing(g)
		if err != nil {
			return err
		}
		worst, mean = max(worst, ratio), mean+ratio/runs
	}
	b.row(fmt.Sprintf("%d tasks of %v on %d runners, of which one freezes", napTasks, napTime, napRunners), fmt.Sprintf("%.2f × the ideal", mean),
		fmt.Sprintf("%.2f at worst of %d", worst, runs), "at most 1.15")
	return nil
}

// nap runs an agent with an engine that only waits.
func nap(ctx context.Context, url string, e *napper) error {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	return agent.New(agent.Config{
		Server: url, Engine: e, Log: slog.New(slog.DiscardHandler), Observe: func(agent.Event) {},
		Hello: wire.Hello{Name: "napper", Secret: secret, Slots: 1, Engine: "wazero", Profiles: sandbox.Profiles},
	}).Run(ctx)
}

// freezing computes one job on runners of its own, one of which freezes, and
// gives how many times the ideal it took.
func (b *bench) freezing(g *localgrid.Grid) (float64, error) {
	module, err := g.Publish(b.ctx, echoModule)
	if err != nil {
		return 0, err
	}
	ctx, stop := context.WithCancel(b.ctx)
	var runners sync.WaitGroup
	defer runners.Wait()
	defer stop()
	engines := make([]napper, napRunners)
	for i := range engines {
		runners.Go(func() { _ = nap(ctx, g.URL, &engines[i]) }) // it ends with the measurement
	}
	whole := napTasks * napTime / napRunners
	after := time.Duration(mathrand.Int64N(int64(whole))) //nolint:gosec // any time will do
	begun := time.Now()
	timer := time.AfterFunc(after, func() { engines[0].frozen.Store(true) })
	defer timer.Stop()
	_, _, err = g.Compute(b.ctx, client.NewJob{Program: module, Input: client.Input{Split: fmt.Sprintf("range:1:%d", napTasks)}})
	took := time.Since(begun)
	rounds := (napTasks*napTime - napRunners*after + (napRunners-1)*napTime - 1) / ((napRunners - 1) * napTime) // of what is left
	ideal := after + rounds*napTime
	return took.Seconds() / ideal.Seconds(), err
}
