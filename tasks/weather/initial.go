package main

import (
	"math"
	"math/rand/v2"
)

// The beginning is a westerly jet in geostrophic balance that is barotropically
// unstable, as in Galewsky, Scott and Polvani, "An initial-value problem for
// testing numerical models of the global shallow-water equations", Tellus 56A
// (2004) 429–440, but on a plane and with the profile sech², the Bickley jet.
// On it lies today's weather, the same for all members, and the error with
// which today's weather is known, of which each member has its own.

const (
	jetWidth = 4.5e5          // half-width of the jet, m
	today    = 15.0           // typical height of today's waves, m
	waves    = 12             // the shortest wave of a disturbance fits so often into the channel
	stripe   = 9e5            // a disturbance lies about so near to the jet, m
	forAll   = math.MaxUint64 // the stream of random numbers that makes today's weather
)

// begin sets the initial state of a member.
func (m *model) begin(p params, member int) {
	m.jet(p.Jet)
	m.disturb(p.Seed, forAll, today)
	m.disturb(p.Seed, uint64(member), p.Perturbation)
	m.now.h.wrap()
	m.now.u.wrap()
	m.now.v.wrap()
}

// jet sets a zonal wind and the heights that balance it, g·∂h/∂y = −f·u.
func (m *model) jet(strongest float64) {
	wind := func(y float64) float64 {
		c := math.Cosh((y - width/2) / jetWidth)
		return strongest / (c * c)
	}
	heights := make([]float64, m.rows)
	mean := 0.0
	for j := range m.rows {
		if j > 0 { // by the midpoint rule: from cell to cell, the corner is in the middle
			heights[j] = heights[j-1] - m.d*m.f[j]*wind(float64(j)*m.d)/gravity
		}
		mean += heights[j] / float64(m.rows)
	}
	for j := range m.rows {
		for i := 1; i <= m.columns; i++ {
			m.now.h[j][i] = depth + heights[j] - mean
			m.now.u[j][i] = wind((float64(j) + 0.5) * m.d)
		}
	}
}

// A wave is one of which a disturbance is made.
type wave struct{ size, number, phase, centre float64 }

// disturb adds random waves around the jet, about size metres high, with the
// winds that balance them.
func (m *model) disturb(seed, stream uint64, size float64) {
	r := rand.New(rand.NewPCG(seed, stream)) //nolint:gosec // a seed that anybody may know
	all := make([]wave, waves)
	for k := range all {
		all[k] = wave{
			size:   size * r.NormFloat64() * math.Sqrt(2.0/waves), // a cosine's mean square is 1/2
			number: 2 * math.Pi / length * float64(k+1),
			phase:  2 * math.Pi * r.Float64(),
			centre: width/2 + stripe/2*r.NormFloat64(),
		}
	}
	m.balance(func(x, y float64) (height float64) {
		for _, w := range all {
			c := math.Cosh((y - w.centre) / stripe)
			height += w.size * math.Cos(w.number*x+w.phase) / (c * c)
		}
		return height * math.Sin(math.Pi*y/width) // nothing at the walls
	})
}

// balance adds heights and their geostrophic winds, k × ∇ψ with ψ = g·h/f. From
// a ψ in the corners these are free of divergence on the grid.
func (m *model) balance(height func(x, y float64) float64) {
	corners := newField(m.rows+1, m.columns)
	for j, row := range corners {
		for i := range row {
			row[i] = height(float64(i-1)*m.d, float64(j)*m.d)
		}
	}
	k := gravity / coriolis / m.d
	for j := range m.rows {
		low, high := corners[j], corners[j+1]
		for i := 1; i <= m.columns; i++ {
			m.now.h[j][i] += (low[i] + low[i+1] + high[i] + high[i+1]) / 4
			m.now.u[j][i] -= k * (high[i] - low[i])
			if j > 0 {
				m.now.v[j][i] += k * (low[i+1] - low[i])
			}
		}
	}
}
