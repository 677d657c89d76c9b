package schedule

import (
	"runtime"
	"testing"
)

// BenchmarkTask lends and accepts one task after the other, in jobs of two
// sizes: the cost of a task must not depend on how many there are.
func BenchmarkTask(b *testing.B) {
	for name, tasks := range map[string]int{"of 10,000": 10_000, "of 1,000,000": 1_000_000} {
		b.Run(name, func(b *testing.B) {
			job := New(Config{Tasks: tasks, TimeLimit: 60 * Second})
			var effects []Effect
			for i := 0; b.Loop(); i++ {
				if job.Over() {
					b.StopTimer()
					job = New(Config{Tasks: tasks, TimeLimit: 60 * Second})
					b.StartTimer()
				}
				now := Time(i)
				effects = job.Step(now, Event{Kind: Want, N: 1}, effects[:0])
				effects = job.Step(now, Event{Kind: Result, Task: effects[0].Task, Took: 10}, effects[:0])
			}
		})
	}
}

// BenchmarkMemory reports the bytes that each of a million tasks holds: done by
// one trusted machine, or by one established volunteer, and in the worst case,
// when one volunteer has voted on all of them and a second is missing.
func BenchmarkMemory(b *testing.B) {
	const tasks = 1_000_000
	for name, p := range map[string]Policy{"trusted": {}, "adaptive": {Trust: Adaptive}, "one vote of two on every task": {Strict, 2}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				before := heap()
				job := New(Config{Tasks: tasks, TimeLimit: 60 * Second, Policy: p, Established: 100, Seniors: 100})
				var effects []Effect
				job.Step(0, Event{Kind: Know, Reputation: Reputation{Standing: Established, Checked: 500}}, nil)
				for {
					effects = job.Step(0, Event{Kind: Want, N: 100}, effects[:0])
					if len(effects) == 0 { // they have had all that they may have
						break
					}
					for _, l := range append([]Effect(nil), effects...) {
						effects = job.Step(0, Event{Kind: Result, Task: l.Task, Took: 10}, effects[:0])
					}
				}
				b.ReportMetric(float64(heap()-before)/tasks, "B/task")
				runtime.KeepAlive(job)
			}
		})
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkTiles looks over ten million tasks, one in a hundred of them open:
// it allocates the tiles and nothing a task.
func BenchmarkTiles(b *testing.B) {
	const tasks = 10_000_000
	job := New(Config{Tasks: tasks, TimeLimit: 60 * Second, Policy: Policy{Strict, 2}, Seniors: 100})
	job.Step(0, Event{Kind: Know, Reputation: Reputation{Standing: Established}}, nil)
	job.Step(0, Event{Kind: Want, N: tasks / 100}, nil)
	b.ReportAllocs()
	for b.Loop() {
		job.Tiles(tasks / 1000)
	}
}
