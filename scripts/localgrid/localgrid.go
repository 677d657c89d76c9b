// Package localgrid runs a grid of real processes on this machine: the server
// and runners that make build made. The demonstration, the benchmarks and the
// end-to-end tests share it.
package localgrid

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"potluck/client"
)

// A Grid is a server and its runners.
type Grid struct {
	// URL is where the server listens, also after a restart.
	URL string
	// Data is the server's folder.
	Data string
	*client.ClientWithResponses

	bin, addr string
	args      []string
	Server    *Process
	mu        sync.Mutex
	all       []*Process
}

// A Process is one that was started, with what it wrote.
type Process struct {
	*exec.Cmd
	Log  *Log
	done chan struct{}
}

// Log is what a process wrote so far.
type Log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// Build builds both binaries into a folder, as tests want them: from the tree as
// it is.
func Build(dir string) error {
	for name, source := range map[string]string{"potluck": "potluck/server", "potluck-worker": "potluck/wasmworker"} {
		out, err := exec.Command("go", "build", "-o", filepath.Join(dir, name), source).CombinedOutput() //nolint:gosec,noctx // our own tree
		if err != nil {
			return fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
	}
	return nil
}

// Start starts a server from the binaries in bin, with its data in a folder,
// on a free port.
func Start(bin, data string, args ...string) (*Grid, error) {
	g := &Grid{Data: data, bin: bin, addr: "127.0.0.1:0", args: args}
	if err := g.Serve(); err != nil {
		return nil, err
	}
	return g, g.As("")
}

// As has the grid's client speak for the holder of a token, or nobody.
func (g *Grid) As(token string) (err error) {
	g.ClientWithResponses, err = client.NewClientWithResponses(g.URL+"/api/v1", client.WithRequestEditorFn(
		func(_ context.Context, r *http.Request) error {
			if token != "" {
				r.Header.Set("Authorization", "Bearer "+token)
			}
			return nil
		}))
	return err
}

// Serve starts the server, again if it was killed, and waits until it is ready.
func (g *Grid) Serve() error {
	args := append([]string{"serve", "--addr", g.addr, "--data", g.Data}, g.args...)
	p, ready, err := g.start(filepath.Join(g.bin, "potluck"), args)
	if err != nil {
		return err
	}
	line, err := bufio.NewReader(ready).ReadString('\n')
	if err != nil {
		<-p.done // by then it has said why
		return fmt.Errorf("the server does not come up: %w: %s", err, p.Log)
	}
	fields := strings.Fields(line)
	g.Server, g.URL = p, fields[len(fields)-1]
	g.addr = strings.TrimPrefix(g.URL, "http://")
	return nil
}

// Worker starts a runner. It is a volunteer of its own.
func (g *Grid) Worker(args ...string) (*Process, error) {
	return g.Run(filepath.Join(g.bin, "potluck-worker"), append([]string{"--server", g.URL, "--identity", "none"}, args...)...)
}

// Run starts any binary beside the server.
func (g *Grid) Run(binary string, args ...string) (*Process, error) {
	p, out, err := g.start(binary, args)
	if err == nil {
		go io.Copy(p.Log, out) //nolint:errcheck // it ends with the process
	}
	return p, err
}

func (g *Grid) start(binary string, args []string) (*Process, io.Reader, error) {
	p := &Process{Cmd: exec.Command(binary, args...), Log: &Log{}, done: make(chan struct{})} //nolint:gosec,noctx // our own binaries
	p.Stderr = p.Log
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	p.Stdout = w
	err = p.Start()
	_ = w.Close()
	if err != nil {
		return nil, nil, fmt.Errorf("start %s (make build makes it): %w", binary, err)
	}
	go func() {
		_ = p.Wait() // its state says how it ended
		close(p.done)
	}()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all = append(g.all, p)
	return p, r, nil
}

// Kill kills a process as a power failure would, and waits for its end.
func (p *Process) Kill() {
	_ = p.Process.Kill()
	<-p.done
}

// Stop asks a process to end and waits for its end.
func (p *Process) Stop() {
	_ = p.Process.Signal(syscall.SIGTERM)
	<-p.done
}

// Done is closed when a process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Close ends everything that was started.
func (g *Grid) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.all {
		_ = p.Process.Signal(syscall.SIGTERM)
	}
	for _, p := range g.all {
		select {
		case <-p.done:
		case <-time.After(30 * time.Second):
			p.Kill()
		}
	}
}

// Submit submits a job.
func (g *Grid) Submit(ctx context.Context, j client.NewJob) (*client.Job, error) {
	answer, err := g.CreateJobWithResponse(ctx, &client.CreateJobParams{}, j)
	if err != nil {
		return nil, err
	}
	if answer.JSON201 == nil {
		return nil, fmt.Errorf("submit: %s", answer.Body)
	}
	return answer.JSON201, nil
}

// Publish publishes a module and gives its id.
func (g *Grid) Publish(ctx context.Context, module []byte) (string, error) {
	answer, err := g.CreateModuleWithBodyWithResponse(ctx, "application/wasm", bytes.NewReader(module))
	switch {
	case err != nil:
		return "", err
	case answer.JSON201 != nil:
		return answer.JSON201.ID, nil
	case answer.JSON200 != nil:
		return answer.JSON200.ID, nil
	}
	return "", fmt.Errorf("publish: %s", answer.Body)
}

// Upload sends data ahead of a job and gives its id.
func (g *Grid) Upload(ctx context.Context, data []byte) (string, error) {
	answer, err := g.CreateInputWithBodyWithResponse(ctx, "application/octet-stream", bytes.NewReader(data))
	if err != nil {
		return "", err
	}
	if answer.JSON201 == nil {
		return "", fmt.Errorf("upload: %s", answer.Body)
	}
	return answer.JSON201.ID, nil
}

// Await waits for a job to end and gives it as it is then.
func (g *Grid) Await(ctx context.Context, id string) (*client.Job, error) {
	return g.Follow(ctx, id, func(*client.Job) bool { return false })
}

// Result fetches the result of a job.
func (g *Grid) Result(ctx context.Context, id string) ([]byte, error) {
	resp, err := g.GetResult(ctx, id, &client.GetResultParams{})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	data, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("result: %s", data)
	}
	return data, err
}

// Establish has the volunteers who are connected compute until so many of them are
// established: the server confirms what newcomers say.
func (g *Grid) Establish(ctx context.Context, volunteers int) error {
	for {
		j, err := g.Submit(ctx, client.NewJob{Program: "square", Params: []byte(`{"numbers":[1,2,3,4,5,6,7,8,9,10,11,12]}`), Policy: "adaptive"})
		if err == nil {
			_, err = g.Await(ctx, j.ID)
		}
		if err != nil {
			return err
		}
		established, err := g.established(ctx)
		if err != nil || established >= volunteers {
			return err
		}
	}
}

// established counts the volunteers who are connected and established.
func (g *Grid) established(ctx context.Context) (n int, err error) {
	workers, err := g.ListWorkersWithResponse(ctx)
	if err != nil {
		return 0, err
	}
	if workers.JSON200 == nil {
		return 0, fmt.Errorf("list the workers: %s", workers.Body)
	}
	seen := map[string]bool{}
	for _, w := range *workers.JSON200 {
		about, err := g.GetVolunteerWithResponse(ctx, w.Volunteer)
		if err != nil {
			return 0, err
		}
		if about.JSON200 != nil && about.JSON200.Trust == client.VolunteerTrustEstablished && !seen[w.Volunteer] {
			seen[w.Volunteer] = true
			n++
		}
	}
	return n, nil
}

// Compute submits a job, waits for it and fetches its result.
func (g *Grid) Compute(ctx context.Context, j client.NewJob) ([]byte, *client.Job, error) {
	created, err := g.Submit(ctx, j)
	if err != nil {
		return nil, nil, err
	}
	last, err := g.Await(ctx, created.ID)
	if err != nil {
		return nil, nil, err
	}
	if last.State != client.JobStateDone {
		return nil, last, fmt.Errorf("job %s is %s: %s", last.ID, last.State, last.Reason)
	}
	result, err := g.Result(ctx, last.ID)
	return result, last, err
}
