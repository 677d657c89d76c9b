package main

import (
	"math"
	"math/rand/v2"
)

// The model is N values around a circle of latitude,
//
//	dx[i]/dt = (x[i+1] − x[i−2])·x[i−1] − x[i] + F,
//
// with one unit of time for five days: Lorenz, "Predictability: a problem partly
// solved", Proc. ECMWF Seminar on Predictability (1996), vol. 1, 1–18, and Lorenz
// and Emanuel, "Optimal sites for supplementary weather observations", J. Atmos.
// Sci. 55 (1998) 399–414, who find that errors double in 2.1 days for N = 40 and
// F = 8: an exponent of 1.65. Later studies of that case give about 1.68 (with
// steps of a half, one and two times ours, and 640 to 6000 starts, it is 1.689 ±
// 0.002 here); how it changes with N and F: Karimi and Paul, "Extensive chaos in
// the Lorenz-96 model", Chaos 20 (2010) 043105.
//
// Beside a state a small error t is integrated by the equations linearised
// around it; how much it grows, on average, is the leading exponent (Benettin,
// Galgani, Giorgilli and Strelcyn, Meccanica 15 (1980) 9–20).

const (
	stepsPerUnit = 40 // classical Runge–Kutta steps of 0.025
	spinUp       = 30 // units until a random start is on the attractor, and its error points the fastest way
	pad          = 3  // a ring repeats two values before its first and one after its last
)

// A ring is a state x and an error t, each with the values that the other end
// repeats; the rest is room for the steps.
type ring struct {
	n                        int
	force                    float64
	x, t, midX, midT, kX, kT []float64
	sumX, sumT               []float64
}

func newRing(n int, force float64) *ring {
	all := make([]float64, 8*(n+pad))
	next := func() (s []float64) {
		s, all = all[:n+pad:n+pad], all[n+pad:]
		return s
	}
	return &ring{n, force, next(), next(), next(), next(), next(), next(), next(), next()}
}

// begin is a state on the attractor with an error of length 1.
func begin(p params, start int) *ring {
	random := rand.New(rand.NewPCG(p.Seed, uint64(start))) //nolint:gosec // a seed that anybody may know
	r := newRing(p.Sites, p.Forcing)
	for i := range r.n {
		r.x[2+i] = p.Forcing + random.NormFloat64()
		r.t[2+i] = random.NormFloat64()
	}
	wrap(r.x)
	wrap(r.t)
	for range spinUp {
		r.unit()
	}
	return r
}

// unit goes on by one unit of time, makes the error as long as 1 again, and
// says by which power of e it had grown.
func (r *ring) unit() float64 {
	for range stepsPerUnit {
		r.step()
	}
	square := 0.0
	for _, v := range r.t[2:][:r.n] {
		square += v * v
	}
	length := math.Sqrt(square)
	for i := range r.t {
		r.t[i] /= length
	}
	return math.Log(length)
}

// step is one classical Runge–Kutta step of state and error.
func (r *ring) step() {
	const dt = 1.0 / stepsPerUnit
	copy(r.sumX, r.x)
	copy(r.sumT, r.t)
	atX, atT := r.x, r.t
	for stage := range 4 {
		slope(r.kX, atX, r.force)
		linear(r.kT, atT, atX)
		weight, reach := dt/3, dt/2
		switch stage {
		case 0, 3:
			weight = dt / 6
		case 2:
			reach = dt
		}
		add(r.sumX, r.sumX, r.kX, weight)
		add(r.sumT, r.sumT, r.kT, weight)
		if stage < 3 {
			add(r.midX, r.x, r.kX, reach)
			add(r.midT, r.t, r.kT, reach)
			wrap(r.midX)
			wrap(r.midT)
			atX, atT = r.midX, r.midT
		}
	}
	r.x, r.sumX = r.sumX, r.x
	r.t, r.sumT = r.sumT, r.t
	wrap(r.x)
	wrap(r.t)
}

// The hot loops are leaf functions over slices of one length: see tasks/weather.

func wrap(s []float64) {
	n := len(s) - pad
	s[0], s[1], s[n+2] = s[n], s[n+1], s[2]
}

// slope sets k = dx/dt.
func slope(k, x []float64, force float64) {
	n := len(x) - pad
	two, one, next := x[:n], x[1:][:n], x[3:][:n]
	k, x = k[2:][:n], x[2:][:n]
	for i := range k {
		k[i] = (next[i]-two[i])*one[i] - x[i] + force
	}
}

// linear sets k = dt/dt by the equations linearised around x.
func linear(k, t, x []float64) {
	n := len(t) - pad
	t2, t1, tn := t[:n], t[1:][:n], t[3:][:n]
	x2, x1, xn := x[:n], x[1:][:n], x[3:][:n]
	k, t = k[2:][:n], t[2:][:n]
	for i := range k {
		k[i] = (tn[i]-t2[i])*x1[i] + (xn[i]-x2[i])*t1[i] - t[i]
	}
}

// add sets to = a + c·b.
func add(to, a, b []float64, c float64) {
	a, b = a[:len(to)], b[:len(to)]
	for i := range to {
		to[i] = a[i] + c*b[i]
	}
}
