// Package assemble puts the parts of a job together while they arrive: it
// keeps them in a file, reduces neighbours as soon as they are complete, and
// makes the artefact of all of them or of what there is so far.
package assemble

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/fxamacker/cbor/v2"

	"potluck/contract"
	"potluck/sandbox"
	"potluck/server/program"
)

// fanIn is how many parts are reduced to one at a time.
const fanIn = 32

// A Plan says what is made of the parts of a job.
type Plan struct {
	Program program.Program
	Params  []byte
	Collect contract.Collect
	Tasks   int
	// Lazy has parts be reduced when an artefact is asked for, and not before.
	Lazy bool
}

// An Assembly is the parts of one job, complete or not. Its methods may be
// called from any goroutine.
type Assembly struct {
	plan   Plan
	run    program.Runner
	parts  *spool // of entries, see pack
	nodes  *spool // reduced parts, numbered level by level
	levels []level
	ctx    context.Context //nolint:containedctx // its life is the assembly's: it ends the background reducing
	cancel context.CancelFunc
	wait   sync.WaitGroup
	turn   chan struct{} // bounds the reducing that goes on at a time
	liars  sync.Map      // ids of volunteers whose names stand under nothing

	mu             sync.Mutex
	count, skipped int // of parts, and of those that are left out
	tally          Tally
}

// A level of the reduce tree; level 0 is over the parts themselves. A node of
// a level covers fanIn neighbours of the one below.
type level struct {
	below, size, first int // number of nodes below and here; number of the first node here
	missing            []uint8
	taken              []uint8       // how often something was taken from below a node
	failed             map[int]error // why reducing a node failed, from what is below it now
}

// pack makes an entry of a record and an output: the size of the record (4 bytes,
// little endian), the record, the output. The record can be read alone.
func pack(r Record, output []byte) ([]byte, error) {
	record, err := cbor.Marshal(r)
	if err != nil {
		return nil, err
	}
	data := binary.LittleEndian.AppendUint32(make([]byte, 0, 4+len(record)+len(output)), uint32(len(record)))
	return append(append(data, record...), output...), nil
}

// New starts an assembly with its files in dir, the system's place if that is "".
func New(plan Plan, run program.Runner, dir string) *Assembly {
	a := &Assembly{plan: plan, run: run, turn: make(chan struct{}, 2)}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	a.parts = newSpool(dir, plan.Tasks)
	if !plan.Program.Has(contract.Reduce) {
		return a
	}
	nodes := 0
	for below := plan.Tasks; below > 1 || nodes == 0; {
		l := level{below: below, size: (below + fanIn - 1) / fanIn, first: nodes, failed: map[int]error{}}
		l.missing, l.taken = make([]uint8, l.size), make([]uint8, l.size)
		for i := range l.missing {
			l.missing[i] = uint8(min(fanIn, below-i*fanIn))
		}
		a.levels = append(a.levels, l)
		nodes += l.size
		below = l.size
	}
	a.nodes = newSpool(dir, nodes)
	return a
}

// Add takes the output of a task and who computed it, or that it was skipped. A
// second one for the same task is ignored.
func (a *Assembly) Add(r Record, output []byte) error {
	data, err := pack(r, output)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.parts.has(r.Task) {
		return nil
	}
	if err := a.parts.put(r.Task, data); err != nil {
		return err
	}
	a.count++
	if r.Skipped != "" {
		a.skipped++
	}
	a.tally.Add(r)
	a.ready(0, r.Task/fanIn)
	return nil
}

// ready notes that one of the inputs of a node is there and reduces the node
// in the background when it was the last. The lock is held.
func (a *Assembly) ready(lv, node int) {
	if lv == len(a.levels) || a.plan.Lazy {
		return
	}
	l := &a.levels[lv]
	if l.missing[node]--; l.missing[node] == 0 {
		a.wait.Add(1)
		go a.reduce(lv, node, l.taken[node])
	}
}

// reduce reduces a node, unless something is taken from below it meanwhile.
func (a *Assembly) reduce(lv, node int, taken uint8) {
	defer a.wait.Done()
	a.turn <- struct{}{}
	defer func() { <-a.turn }()
	part, err := a.reduceNode(a.ctx, lv, node)
	a.mu.Lock()
	defer a.mu.Unlock()
	l := &a.levels[lv]
	if l.taken[node] != taken {
		return
	}
	if err == nil {
		err = a.nodes.put(l.first+node, part)
	} else if errors.Is(err, errAbsent) {
		err = nil // all below is left out
	}
	if program.IsFault(err) {
		l.failed[node] = err
	}
	if err != nil {
		return // where it is needed, it is tried again
	}
	a.ready(lv+1, node/fanIn)
}

// Remove takes the part of a task out again, and what was reduced from it.
func (a *Assembly) Remove(task int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.parts.has(task) {
		return
	}
	if r, _, err := a.part(task); err == nil { // else only what is pending is wrong until the end
		a.tally.remove(r)
		if r.Skipped != "" {
			a.skipped--
		}
	}
	a.parts.drop(task)
	a.count--
	node := task / fanIn
	for lv := range a.levels {
		l := &a.levels[lv]
		l.missing[node]++
		l.taken[node]++
		delete(l.failed, node) // a lie may have been what could not be reduced
		if !a.nodes.has(l.first + node) {
			return // nothing above has heard of it
		}
		a.nodes.drop(l.first + node)
		node /= fanIn
	}
}

// Confirm adds what another volunteer's answer says of a part that is there.
func (a *Assembly) Confirm(task int, by []Voter, sure bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	r, output, err := a.part(task)
	if errors.Is(err, errAbsent) {
		return nil
	}
	if err != nil {
		return err
	}
	counted := r
	r.Voters, r.Sure = r.And(by), r.Sure || sure
	r.Tries = max(r.Tries, len(r.Voters))
	data, err := pack(r, output)
	if err != nil {
		return err
	}
	if err := a.parts.put(task, data); err != nil {
		return err
	}
	a.tally.remove(counted)
	a.tally.Add(r)
	return nil
}

// reduceNode reduces what there is of a node's inputs.
func (a *Assembly) reduceNode(ctx context.Context, lv, node int) ([]byte, error) {
	l := a.levels[lv]
	var parts [][]byte
	for i := node * fanIn; i < min((node+1)*fanIn, l.below); i++ {
		part, err := a.below(ctx, lv, i)
		if errors.Is(err, errAbsent) {
			continue
		}
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	switch len(parts) {
	case 0:
		return nil, errAbsent
	case 1:
		return parts[0], nil
	}
	return a.plan.Program.Reduce(ctx, a.run, parts)
}

// below gives input i of a level: a part, a finished node, or what there is of
// an unfinished one.
func (a *Assembly) below(ctx context.Context, lv, i int) ([]byte, error) {
	if lv == 0 {
		r, output, err := a.part(i)
		if err == nil && r.Skipped != "" {
			err = errAbsent
		}
		return output, err
	}
	node, err := a.nodes.get(a.levels[lv-1].first + i)
	if errors.Is(err, errAbsent) {
		return a.reduceNode(ctx, lv-1, i)
	}
	return node, err
}

func (a *Assembly) part(task int) (r Record, output []byte, err error) {
	data, err := a.parts.get(task)
	if err != nil {
		return r, nil, err
	}
	record := data[4:][:binary.LittleEndian.Uint32(data)]
	r, err = a.read(record)
	return r, data[4+len(record):], err
}

// read reads a record, without those whose names stand under nothing.
func (a *Assembly) read(record []byte) (r Record, err error) {
	err = cbor.Unmarshal(record, &r)
	r.Voters = slices.DeleteFunc(r.Voters, func(v Voter) bool {
		_, lied := a.liars.Load(v.ID)
		return lied
	})
	return r, err
}

// Has says whether the part of a task is there.
func (a *Assembly) Has(task int) bool { return a.parts.has(task) }

// Next gives the first task from one on whose part is there, -1 if there is none.
func (a *Assembly) Next(task int) int { return a.parts.next(task) }

// usualRecord is how many bytes of an entry have the whole record, for the most.
const usualRecord = 1 << 10

// RecordOf gives the record of a task without its output, however large that is;
// ok is false while it has none.
func (a *Assembly) RecordOf(task int) (r Record, ok bool, err error) {
	data, err := a.parts.head(task, usualRecord)
	if err == nil {
		if size := 4 + binary.LittleEndian.Uint32(data); size > uint32(len(data)) {
			data, err = a.parts.head(task, size)
		}
	}
	if errors.Is(err, errAbsent) {
		return r, false, nil
	}
	if err != nil {
		return r, false, err
	}
	r, err = a.read(data[4:][:binary.LittleEndian.Uint32(data)])
	return r, err == nil, err
}

// Disown takes the name of a volunteer who has lied from under all parts, those
// that come later too. What they gave others have confirmed, or it is removed.
func (a *Assembly) Disown(volunteer string) { a.liars.Store(volunteer, nil) }

// Reown takes back that a volunteer has lied: what they give from now on has
// their name.
func (a *Assembly) Reown(volunteer string) { a.liars.Delete(volunteer) }

// Skipped is how many of the parts are only said to be left out.
func (a *Assembly) Skipped() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.skipped
}

// Count is how many parts there are, those that are left out too.
func (a *Assembly) Count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.count
}

// Record gives the record and output of a task; ok is false while it has none.
func (a *Assembly) Record(task int) (r Record, output []byte, ok bool, err error) {
	r, output, err = a.part(task)
	if errors.Is(err, errAbsent) {
		return r, nil, false, nil
	}
	return r, output, err == nil, err
}

// ErrNothing says that there is no part yet to make an artefact of.
var ErrNothing = errors.New("no task is done yet")

// Write writes the artefact to w: the final one when all parts are there, else
// what can be made of those that are.
func (a *Assembly) Write(ctx context.Context, w io.Writer) error {
	count := a.Count()
	if count == a.Skipped() {
		return ErrNothing
	}
	if count == a.plan.Tasks {
		if err := a.reduced(ctx); err != nil {
			return err
		}
	}
	if err := a.failure(); err != nil {
		return err
	}
	if a.levels == nil && !a.plan.Program.Has(contract.Render) {
		return a.collect(w)
	}
	part, err := a.root(ctx)
	if err != nil {
		return err
	}
	artefact, err := a.plan.Program.Render(ctx, a.run, a.plan.Params, part)
	if err != nil {
		return err
	}
	_, err = w.Write(artefact)
	return err
}

// reduced waits for the reducing that goes on in the background.
func (a *Assembly) reduced(ctx context.Context) error {
	done := make(chan struct{})
	go func() { a.wait.Wait(); close(done) }() // Close ends it
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// failure is why something could not be reduced.
func (a *Assembly) failure() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, l := range a.levels {
		for _, node := range slices.Sorted(maps.Keys(l.failed)) {
			return l.failed[node]
		}
	}
	return nil
}

// root is the one part that render gets.
func (a *Assembly) root(ctx context.Context) ([]byte, error) {
	if top := len(a.levels); top > 0 {
		return a.below(ctx, top, 0)
	}
	var all []byte
	for i := range a.plan.Tasks {
		_, output, ok, err := a.Record(i)
		if err != nil {
			return nil, err
		}
		if ok {
			all = append(all, output...)
		}
		if len(all) > program.MaxInputs {
			return nil, &sandbox.Failure{Kind: sandbox.Output, Message: fmt.Sprintf("the parts of the job have more than %d bytes together: too much to render", program.MaxInputs)}
		}
	}
	return all, nil
}

// collect writes the outputs in the order of their tasks.
func (a *Assembly) collect(w io.Writer) error {
	out := bufio.NewWriterSize(w, 256<<10)
	c := collector{Writer: out, how: a.plan.Collect}
	for i := range a.plan.Tasks {
		r, output, ok, err := a.Record(i)
		if err == nil && ok {
			err = c.add(r, output)
		}
		if err != nil {
			return err
		}
	}
	if err := c.end(); err != nil {
		return err
	}
	return out.Flush()
}

type collector struct {
	*bufio.Writer
	how   contract.Collect
	began bool
}

func (c *collector) add(r Record, output []byte) error {
	if c.how == contract.Concat || c.how == "" {
		_, err := c.Write(output)
		return err
	}
	line, err := object(r, output)
	if err != nil {
		return err
	}
	if c.how == contract.JSON {
		before := ",\n"
		if !c.began {
			before = "[\n"
		}
		_, _ = c.WriteString(before) // an error shows at the next write
	}
	c.began = true
	_, err = c.Write(line)
	if err == nil && c.how == contract.NDJSON {
		err = c.WriteByte('\n')
	}
	return err
}

func (c *collector) end() error {
	if c.how != contract.JSON {
		return nil
	}
	_, err := c.WriteString("\n]\n")
	return err
}

// Close frees the files and ends what goes on in the background.
func (a *Assembly) Close() {
	a.cancel()
	a.wait.Wait()
	a.parts.close()
	if a.nodes != nil {
		a.nodes.close()
	}
}
