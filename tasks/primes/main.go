// Command primes counts primes with a segmented sieve of Eratosthenes, one
// range of numbers a task.
package main

import (
	"encoding/json"
	"fmt"
	"math"

	"potluck/tasks/mapreduce"
)

type params struct {
	From uint64 `json:"from" title:"From" doc:"The first number to look at." min:"0" max:"10000000000000"`
	To   uint64 `json:"to" title:"To" doc:"The last number to look at." min:"0" max:"10000000000000"`
}

// span is the numbers from From to To, both included.
type span struct {
	From, To uint64
}

// A task has at least this many numbers, and a job at most maxTasks tasks.
const (
	minSpan  = 10_000_000
	maxTasks = 5000
)

func main() {
	mapreduce.Main(mapreduce.Program[params, span, uint64]{
		Name: "primes", Title: "Count primes",
		Summary:  "Counts the prime numbers in a range with a segmented sieve. There are 50,847,534 below a billion.",
		Result:   "application/json",
		Defaults: params{From: 2, To: 1_000_000_000},
		Examples: []params{{From: 2, To: 10_000_000_000}},
		Check:    check,
		Split:    split,
		Map:      func(s span) (uint64, error) { return count(s), nil },
		Reduce:   func(a, b uint64) (uint64, error) { return a + b, nil },
		Render:   render,
	})
}

func check(p params) error {
	if p.To < p.From {
		return fmt.Errorf("to (%d) is smaller than from (%d)", p.To, p.From)
	}
	return nil
}

func split(p params) ([]span, error) {
	size := max(minSpan, (p.To-p.From)/maxTasks+1)
	var spans []span
	for from := p.From; from <= p.To; from += size {
		spans = append(spans, span{from, min(from+size-1, p.To)})
	}
	return spans, nil
}

func render(p params, n uint64) ([]byte, error) {
	return json.Marshal(struct {
		From  uint64 `json:"from"`
		To    uint64 `json:"to"`
		Count uint64 `json:"count"`
	}{p.From, p.To, n})
}

// segment is how many odd numbers are sieved at a time: they fit the L1 cache.
const segment = 32 << 10

// count counts the primes of a span.
func count(s span) (n uint64) {
	if s.From <= 2 && s.To >= 2 {
		n++
	}
	odds := oddPrimes(uint64(math.Sqrt(float64(s.To))) + 1)
	low := max(3, s.From|1)
	if low > s.To {
		return n
	}
	next := make([]uint64, len(odds)) // index of the next multiple, relative to low
	for i, p := range odds {
		next[i] = firstMultiple(p, low)
	}
	sieve := make([]byte, segment)
	for left := (s.To-low)/2 + 1; left > 0; {
		size := min(left, segment)
		n += sieveOne(sieve[:size], odds, next)
		left -= size
	}
	return n
}

// firstMultiple is the index, counting odd numbers from low on, of the first
// odd multiple of p that is at least p².
func firstMultiple(p, low uint64) uint64 {
	m := p * p
	if m < low {
		m = (low + p - 1) / p * p
		if m%2 == 0 {
			m += p
		}
	}
	return (m - low) / 2
}

// sieveOne crosses out the multiples in one segment, moves next on to the
// following one, and counts what is left.
func sieveOne(sieve []byte, odds, next []uint64) uint64 {
	clear(sieve)
	for i, p := range odds {
		next[i] = cross(sieve, next[i], p)
	}
	left := uint64(len(sieve))
	for _, crossed := range sieve {
		left -= uint64(crossed)
	}
	return left
}

// cross is the hot loop, small so that the compiler keeps it in registers.
func cross(sieve []byte, at, step uint64) uint64 {
	for ; at < uint64(len(sieve)); at += step {
		sieve[at] = 1
	}
	return at - uint64(len(sieve))
}

// oddPrimes lists the odd primes up to limit.
func oddPrimes(limit uint64) (primes []uint64) {
	composite := make([]bool, limit+1)
	for p := uint64(3); p <= limit; p += 2 {
		if composite[p] {
			continue
		}
		primes = append(primes, p)
		for m := p * p; m <= limit; m += 2 * p {
			composite[m] = true
		}
	}
	return primes
}
