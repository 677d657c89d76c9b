package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/coder/websocket"

	"potluck/contract"
	"potluck/sandbox"
	"potluck/sandbox/process"
	"potluck/sandbox/profile"
	"potluck/sandbox/wasmtest"
	"potluck/server/program"
	"potluck/tasks"
)

// floors measures what no grid of this make can beat: a WebSocket's round trip
// a task, and an instance of the module a task, both on two connections or
// executors at a time.
func (b *bench) floors() (err error) {
	if b.trips, err = roundTrips(b.ctx, int(20_000*b.scale)); err != nil {
		return err
	}
	b.row("floor: raw WebSocket echo round trips, 100 bytes, two connections", fmt.Sprintf("%.0f/s", b.trips), "", "")
	dir, err := os.MkdirTemp("", "potluck-floor-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	m, err := publish(dir, wasmtest.Echo())
	if err != nil {
		return err
	}
	inputs := make([][]byte, int(100_000*b.scale))
	for i := range inputs {
		inputs[i] = fmt.Appendf(nil, "%099d\n", i)
	}
	took, _, err := runAll(process.Config{Cache: dir}, m, nil, inputs)
	if err != nil {
		return err
	}
	b.instances = float64(len(inputs)) / took.Seconds()
	b.row("floor: sandbox instances of the echo module, two executors", fmt.Sprintf("%.0f/s", b.instances), "", "")
	return nil
}

// roundTrips gives how many messages a second go there and back, n on each of
// two connections.
func roundTrips(ctx context.Context, n int) (float64, error) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow() //nolint:errcheck // the other side has ended
		for {
			kind, data, err := c.Read(ctx)
			if err != nil || c.Write(ctx, kind, data) != nil {
				return
			}
		}
	}))
	defer s.Close()
	var wait sync.WaitGroup
	errs := make([]error, 2)
	start := time.Now()
	for i := range errs {
		wait.Go(func() { errs[i] = bounce(ctx, s.URL, n) })
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return 0, err
		}
	}
	return float64(2*n) / time.Since(start).Seconds(), nil
}

func bounce(ctx context.Context, url string, n int) error {
	c, _, err := websocket.Dial(ctx, url, nil) //nolint:bodyclose // the connection has it
	if err != nil {
		return err
	}
	defer c.CloseNow() //nolint:errcheck // the work is done
	message := make([]byte, 100)
	for range n {
		if err := c.Write(ctx, websocket.MessageBinary, message); err != nil {
			return err
		}
		if _, _, err := c.Read(ctx); err != nil {
			return err
		}
	}
	return nil
}

// publish lays a module into a folder as the grid would.
func publish(dir string, raw []byte) (sandbox.Module, error) {
	p, err := profile.Publish(raw, sandbox.MaxMemory)
	if err != nil {
		return sandbox.Module{}, err
	}
	m := sandbox.Module{ID: p.ID, Path: filepath.Join(dir, "module.wasm"), Profile: sandbox.Profile}
	return m, os.WriteFile(m.Path, p.Module, 0o600)
}

// runBare computes the tasks of a built-in program in two executors, and gives
// the time and the sum of the tasks' own times.
func runBare(ctx context.Context, name string, params []byte) (took, sum time.Duration, err error) {
	dir, err := os.MkdirTemp("", "potluck-floor-")
	if err != nil {
		return 0, 0, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	module, inputs, err := splitBuiltin(ctx, name, params)
	if err != nil {
		return 0, 0, err
	}
	m, err := publish(dir, module)
	if err != nil {
		return 0, 0, err
	}
	return runAll(process.Config{Cache: dir}, m, []string{string(contract.Map)}, inputs)
}

// splitBuiltin gives the published module of a built-in program and the inputs
// of a job's tasks.
func splitBuiltin(ctx context.Context, name string, params []byte) (module []byte, inputs [][]byte, err error) {
	dir, err := os.MkdirTemp("", "potluck-split-")
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	all, err := tasks.Catalogue()
	if err != nil {
		return nil, nil, err
	}
	i := slices.IndexFunc(all, func(p tasks.Program) bool { return p.Name == name })
	if i < 0 {
		return nil, nil, fmt.Errorf("there is no program %s", name)
	}
	m, err := publish(dir, all[i].Module)
	if err != nil {
		return nil, nil, err
	}
	if module, err = os.ReadFile(m.Path); err != nil {
		return nil, nil, err
	}
	pool := sandbox.NewPool(1, process.Config{Cache: dir}.Spawn)
	defer pool.Close()
	p := program.Program{Module: m, Manifest: &all[i].Manifest}
	err = p.Split(ctx, pool, params, func(input []byte) error { inputs = append(inputs, bytes.Clone(input)); return nil })
	return module, inputs, err
}

// runAll runs a task for each input in two executors that have compiled the
// module before.
func runAll(c process.Config, m sandbox.Module, args []string, inputs [][]byte) (took, sum time.Duration, err error) {
	executors := []*sandbox.Executor{sandbox.NewExecutor(c.Spawn), sandbox.NewExecutor(c.Spawn)}
	for _, x := range executors {
		defer x.Close()
		if err := x.Load(m).Err(); err != nil {
			return 0, 0, err
		}
	}
	outcomes := make(chan sandbox.Outcome, len(inputs))
	start := time.Now()
	next, running := 0, 0
	for done := 0; done < len(inputs); {
		for next < len(inputs) && running < 64 {
			executors[next%2].Submit(sandbox.Task{Module: m, Args: args, Input: inputs[next]}, func(o sandbox.Outcome) { outcomes <- o })
			next, running = next+1, running+1
		}
		o := <-outcomes
		if err := o.Err(); err != nil {
			return 0, 0, err
		}
		done, running, sum = done+1, running-1, sum+o.Took
	}
	return time.Since(start), sum, nil
}
