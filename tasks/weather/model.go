package main

import "math"

// The shallow-water equations on a β-plane, in a channel that is periodic from
// west to east and has smooth walls in the south and in the north:
//
//	∂u/∂t = +q·V − ∂B/∂x     q = (f + ∂v/∂x − ∂u/∂y) / h   potential vorticity
//	∂v/∂t = −q·U − ∂B/∂y     B = g·h + (u² + v²) / 2       Bernoulli function
//	∂h/∂t = −∂U/∂x − ∂V/∂y   U = h·u, V = h·v              transports
//
// Space is discretised by the energy-conserving scheme of Sadourny, "The
// Dynamics of Finite-Difference Models of the Shallow-Water Equations", J.
// Atmos. Sci. 32 (1975) 680–689, on Arakawa's C grid: what cell (i, j) owns is
//
//	 u ── h ──     h[j][i] in the middle of the cell,
//	 │         │   u[j][i] in the middle of its west side,
//	 q ── v ──     v[j][i] in the middle of its south side, q in that corner.
//
// Time is discretised by four Runge–Kutta stages in the low-storage form of
// Jameson, Schmidt and Turkel (AIAA paper 81-1259, 1981): each stage starts from
// the state before the step. It is of second order (of fourth for linear waves)
// and stable up to a Courant number of 2√2.

const (
	gravity  = 9.81      // m/s²
	coriolis = 1.031e-4  // f at 45° N, 1/s
	beta     = 1.619e-11 // df/dy at 45° N, 1/(m·s)
	depth    = 3000.0    // mean depth of the layer, m: waves run at 172 m/s
	length   = 12e6      // of the channel from west to east, m
	width    = 6e6       // from wall to wall, m
)

// A field is a grid of numbers, row by row from the south. Each row has a
// column more on either side, which repeats the one at the other end: loops
// then need no modulo.
type field [][]float64

func newField(rows, columns int) field {
	all := make([]float64, rows*(columns+2))
	f := make(field, rows)
	for j := range f {
		f[j], all = all[:columns+2:columns+2], all[columns+2:]
	}
	return f
}

// wrap fills the columns on either side.
func (f field) wrap() {
	for _, row := range f {
		n := len(row) - 2
		row[0], row[n+1] = row[n], row[1]
	}
}

// A state is the atmosphere at one time. v has a row more: that of the
// northern wall.
type state struct{ h, u, v field }

func newState(rows, columns int) state {
	return state{newField(rows, columns), newField(rows, columns), newField(rows+1, columns)}
}

type model struct {
	rows, columns int
	d             float64 // side of a cell, m
	dt            float64 // time step, s
	hyper         float64 // what the filter takes off per step; 0 for none
	walls         bool    // without them the north is joined to the south
	f             []float64
	now, next     state // next is the state that the stages are computed in
	start         state // the state before the step
	flux          state // B, U and V
	q             field
}

// newModel makes a model at rest.
func newModel(p params) *model {
	m := makeModel(p.Columns/2, p.Columns, width/float64(p.Columns/2))
	fastest := math.Sqrt(gravity*1.2*depth) + 1.4*p.Jet // waves, carried by the wind
	m.walls = true
	m.dt = 3600 / math.Ceil(3600*fastest/(0.85*m.d))
	m.hyper = m.dt / dampingTime / 64 // ∇⁴ of the shortest wave is 64 times the wave
	for j := range m.f {
		m.f[j] = coriolis + beta*(float64(j)*m.d-width/2)
	}
	return m
}

// dampingTime is how fast the shortest waves that the grid can hold are damped,
// in seconds: what cascades to the grid's scale has to end somewhere.
const dampingTime = 3600

func makeModel(rows, columns int, d float64) *model {
	m := &model{rows: rows, columns: columns, d: d, f: make([]float64, rows+1)}
	m.now, m.next, m.start, m.flux = newState(rows, columns), newState(rows, columns), newState(rows, columns), newState(rows, columns)
	m.q = newField(rows+1, columns)
	for _, row := range m.now.h {
		for i := range row {
			row[i] = depth
		}
	}
	return m
}

// stepsIn is how many steps some whole hours take.
func (m *model) stepsIn(seconds float64) int { return int(math.Round(seconds / m.dt)) }

// step moves the model on by dt.
func (m *model) step() {
	m.start, m.now = m.now, m.start
	from := m.start
	for stage := 4; stage >= 1; stage-- {
		m.fluxes(from)
		m.advance(m.start, m.next, m.dt/float64(stage))
		from = m.next
	}
	m.now, m.next = m.next, m.now
	if m.hyper > 0 {
		m.filter()
	}
}

// south and north are the rows of cells on either side of a row of corners.
func (m *model) south(j int) int { return (j + m.rows - 1) % m.rows }
func (m *model) north(j int) int { return j % m.rows }

// fluxes computes B, U, V and q of a state.
func (m *model) fluxes(s state) {
	for j := range m.rows {
		bernoulli(m.flux.h[j], s.h[j], s.u[j], s.v[j], s.v[j+1])
		transportX(m.flux.u[j], s.h[j], s.u[j])
	}
	for j := range m.rows + 1 {
		below, above := m.south(j), m.north(j)
		transportY(m.flux.v[j], s.h[below], s.h[above], s.v[j])
		vorticity(m.q[j], s.h[below], s.h[above], s.u[below], s.u[above], s.v[j], m.f[j], 1/m.d)
	}
}

// advance sets to = from + dt · tendency.
func (m *model) advance(from, to state, dt float64) {
	b, u, v := m.flux.h, m.flux.u, m.flux.v
	r := dt / m.d
	for j := range m.rows {
		advanceH(to.h[j], from.h[j], u[j], v[j], v[j+1], r)
		advanceU(to.u[j], from.u[j], b[j], m.q[j], m.q[j+1], v[j], v[j+1], r, dt)
	}
	for j := range m.rows + 1 {
		if m.walls && (j == 0 || j == m.rows) {
			continue // nothing blows through a wall
		}
		below, above := m.south(j), m.north(j)
		advanceV(to.v[j], from.v[j], b[below], b[above], m.q[j], u[below], u[above], r, dt)
	}
	to.h.wrap()
	to.u.wrap()
	to.v.wrap()
}

// filter takes the biharmonic ∇⁴ of the wind off the wind. Masses are left
// alone, so that none is lost.
func (m *model) filter() {
	once, twice := m.next, m.flux
	for _, f := range []struct{ wind, once, twice field }{{m.now.u, once.u, twice.u}, {m.now.v, once.v, twice.v}} {
		m.laplacian(f.once, f.wind)
		m.laplacian(f.twice, f.once)
		for j, row := range f.wind {
			subtract(row, f.twice[j], m.hyper)
		}
		f.wind.wrap()
	}
}

// laplacian sets to = d²·∇²from. Rows of v on the walls stay 0; beyond a wall u
// goes on as it is: the walls are smooth.
func (m *model) laplacian(to, from field) {
	last := len(from) - 1
	onWalls := last == m.rows // v
	for j := range from {
		below, above := max(j-1, 0), min(j+1, last)
		switch {
		case !m.walls && onWalls:
			below, above = m.south(j), m.north(j)+1
		case !m.walls:
			below, above = m.south(j), m.north(j+1)
		case onWalls && (j == 0 || j == last):
			clear(to[j])
			continue
		}
		laplacianRow(to[j], from[below], from[j], from[above])
	}
	to.wrap()
}
