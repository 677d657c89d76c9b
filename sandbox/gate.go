package sandbox

import (
	"bytes"
	"context"
	"fmt"
)

// gateTime bounds the slower of the two runs of the determinism gate.
const gateTime = Brief

// Gate is the determinism gate: it runs a task under two engines and returns an
// error if their outputs differ. The gate opens without a verdict when the task
// fails or when the other engine, an interpreter and tens of times slower, does
// not end within a bound.
func Gate(ctx context.Context, engine, other Spawn, t Task) error {
	fast, ok := gateRun(ctx, engine, t)
	if !ok {
		return nil
	}
	slow, ok := gateRun(ctx, other, t)
	if !ok {
		return nil
	}
	return compare(t.Module.ID, fast, slow)
}

func compare(id ID, fast, slow []byte) error {
	if bytes.Equal(fast, slow) {
		return nil
	}
	at := 0
	for at < min(len(fast), len(slow)) && fast[at] == slow[at] {
		at++
	}
	return fmt.Errorf("module %s is not deterministic: two engines gave different outputs for the same input, from byte %d on", id, at)
}

func gateRun(ctx context.Context, s Spawn, t Task) ([]byte, bool) {
	x := NewExecutor(s)
	defer x.Close()
	t.Time = gateTime
	o := x.Run(ctx, t)
	return o.Output, o.Failure == nil
}
