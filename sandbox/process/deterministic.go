package process

import (
	"encoding/binary"
	"math"
	"time"
)

// generator is SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom
// Number Generators, OOPSLA 2014), giving eight bytes a step, little endian.
type generator struct {
	state uint64
	block [8]byte
	left  int
}

func (g *generator) Read(p []byte) (int, error) {
	for i := range p {
		if g.left == 0 {
			binary.LittleEndian.PutUint64(g.block[:], g.next())
			g.left = len(g.block)
		}
		p[i] = g.block[len(g.block)-g.left]
		g.left--
	}
	return len(p), nil
}

func (g *generator) next() uint64 {
	g.state += 0x9e3779b97f4a7c15
	z := g.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// clock is a pair of virtual clocks: the wall clock starts at the beginning of
// 2022 and the monotonic one at zero; each advances by a millisecond whenever
// it is read, and both by what the program sleeps.
type clock struct {
	wall, mono int64 // ns
}

const (
	clockStep       = int64(time.Millisecond)
	clockResolution = 1    // ns, of the monotonic clock
	wallResolution  = 1000 // ns
)

var wallStart = time.Date(2022, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()

func newClock() *clock { return &clock{wall: wallStart} }

func (c *clock) walltime() (sec int64, nsec int32) {
	now := c.wall
	c.wall += clockStep
	return now / 1e9, int32(now % 1e9)
}

func (c *clock) nanotime() int64 {
	now := c.mono
	c.mono += clockStep
	return now
}

// sleep is called with MaxInt64 for a poll without a clock: that passes no time.
func (c *clock) sleep(ns int64) {
	const century = int64(100 * 365 * 24 * time.Hour) // longer sleeps would overflow
	if ns <= 0 || ns == math.MaxInt64 || c.mono > century {
		return
	}
	ns = min(ns, century)
	c.wall += ns
	c.mono += ns
}
