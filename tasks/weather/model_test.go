package main

import (
	"math"
	"testing"
)

// small is a quick job.
var small = params{Members: 7, Batch: 1, Columns: 32, Days: 1, Perturbation: 2, Jet: 50, Seed: 1}

func (m *model) total(cell func(i, j int) float64) (sum float64) {
	for j := range m.rows {
		for i := 1; i <= m.columns; i++ {
			sum += cell(i, j)
		}
	}
	return sum
}

func (m *model) mass() float64 {
	return m.total(func(i, j int) float64 { return m.now.h[j][i] })
}

// energy is g·h²/2 + h·(u² + v²)/2 as Sadourny discretises it.
func (m *model) energy() float64 {
	s := m.now
	return m.total(func(i, j int) float64 {
		h := s.h[j][i]
		wind := (s.u[j][i]*s.u[j][i] + s.u[j][i+1]*s.u[j][i+1] + s.v[j][i]*s.v[j][i] + s.v[j+1][i]*s.v[j+1][i]) / 4
		return gravity*h*h/2 + h*wind
	})
}

func begun(days int) *model {
	p := small
	p.Columns = 64
	m := newModel(p)
	m.begin(p, 0)
	for range m.stepsIn(float64(days) * 86400) {
		m.step()
	}
	return m
}

// Only rounding may change the mass, with the filter and all.
func TestMassIsConserved(t *testing.T) {
	before, after := begun(0).mass(), begun(3).mass()
	if off := math.Abs(after/before - 1); off > 1e-13 {
		t.Errorf("the mass changed by %g of it", off)
	}
}

// In space the scheme conserves energy; without the filter only the time steps
// change it, and finer ones by much less. With the filter it can only be lost,
// and little of it.
func TestEnergyIsConserved(t *testing.T) {
	drift := func(finer int) float64 {
		m := begun(0)
		m.hyper = 0
		m.dt /= float64(finer)
		before := m.energy()
		for range m.stepsIn(86400) {
			m.step()
		}
		return math.Abs(m.energy()/before - 1)
	}
	coarse, fine := drift(1), drift(2)
	t.Logf("in a day: %.2g, with half the step %.2g", coarse, fine)
	if coarse > 1e-6 || fine > coarse/4 {
		t.Errorf("the energy changed by %g of it, and by %g with half the step", coarse, fine)
	}
	if lost := 1 - begun(4).energy()/begun(0).energy(); lost < 0 || lost > 1e-3 {
		t.Errorf("the filter took %g of the energy in four days", lost)
	}
}

// orders are the observed orders of convergence of errors on grids that are
// twice as fine each: they must be two.
func orders(t *testing.T, errors []float64) {
	t.Helper()
	for i := range len(errors) - 1 {
		order := math.Log2(errors[i] / errors[i+1])
		t.Logf("error %.3g → %.3g: order %.2f", errors[i], errors[i+1], order)
		if order < 1.8 || order > 2.4 {
			t.Errorf("the order is %.2f", order)
		}
	}
}

// An inertia–gravity wave on an f-plane without walls runs as the dispersion
// relation ω² = f² + g·H·(k² + l²) of the linear equations says (Vallis,
// Atmospheric and Oceanic Fluid Dynamics, 2nd ed. 2017, section 3.8).
func TestInertiaGravityWave(t *testing.T) {
	var errors []float64
	for _, n := range []int{16, 32, 64, 128} {
		errors = append(errors, waveError(n))
	}
	orders(t, errors)
}

// waveError is how far the heights are off after half a period and a bit, as a
// share of the amplitude.
func waveError(n int) float64 {
	const side, amplitude, f = 4e6, 1e-3, coriolis // so flat that it is linear
	k, l := 2*math.Pi/side, 2*2*math.Pi/side
	omega := math.Sqrt(f*f + gravity*depth*(k*k+l*l))
	c := gravity * amplitude / (omega*omega - f*f)
	m := makeModel(n, n, side/float64(n))
	for j := range m.f {
		m.f[j] = f
	}
	fill := func(to field, dx, dy, inPhase, behind, mean, time float64) {
		for j := range to {
			for i := range to[j] {
				angle := k*(float64(i-1)+dx)*m.d + l*(float64(j)+dy)*m.d - omega*time
				to[j][i] = mean + inPhase*math.Cos(angle) + behind*math.Sin(angle)
			}
		}
	}
	fill(m.now.h, 0.5, 0.5, amplitude, 0, depth, 0)
	fill(m.now.u, 0, 0.5, c*k*omega, -c*l*f, 0, 0)
	fill(m.now.v, 0.5, 0, c*l*omega, c*k*f, 0, 0)
	end := 0.6 * 2 * math.Pi / omega
	steps := 2 * n
	m.dt = end / float64(steps)
	for range steps {
		m.step()
	}
	want := newField(n, n)
	fill(want, 0.5, 0.5, amplitude, 0, depth, end)
	worst := 0.0
	for j := range want {
		for i := range want[j] {
			worst = max(worst, math.Abs(m.now.h[j][i]-want[j][i])/amplitude)
		}
	}
	return worst
}

// A jet in geostrophic balance stays as it is.
func TestSteadyJet(t *testing.T) {
	var errors []float64
	for _, rows := range []int{48, 96, 192} {
		m := makeModel(rows, 4, width/float64(rows))
		m.walls = true
		for j := range m.f {
			m.f[j] = coriolis + beta*(float64(j)*m.d-width/2)
		}
		m.jet(50)
		for _, f := range []field{m.now.h, m.now.u, m.now.v} {
			f.wrap()
		}
		before := make([]float64, rows)
		for j := range before {
			before[j] = m.now.u[j][1]
		}
		m.dt = 3600 / math.Ceil(3600/(m.d/300))
		for range m.stepsIn(24 * 3600) {
			m.step()
		}
		worst := 0.0
		for j := range before {
			worst = max(worst, math.Abs(m.now.u[j][1]-before[j]))
		}
		errors = append(errors, worst)
	}
	orders(t, errors)
}

// The jet is unstable: what the members differ by at first has grown a lot
// after some days.
func TestMembersPart(t *testing.T) {
	p := small
	p.Columns = 64
	apart := func(days int) (sum float64) {
		a, b := newModel(p), newModel(p)
		a.begin(p, 0)
		b.begin(p, 1)
		for range a.stepsIn(float64(days) * 86400) {
			a.step()
			b.step()
		}
		return a.total(func(i, j int) float64 {
			off := a.now.h[j][i] - b.now.h[j][i]
			return off * off
		})
	}
	if first, last := apart(0), apart(6); math.Sqrt(last/first) < 5 {
		t.Errorf("differences grew by a factor of %.1f only", math.Sqrt(last/first))
	}
}

// What leaves the range of heights is no result.
func TestFailedMember(t *testing.T) {
	m := begun(0)
	for _, v := range []float64{math.NaN(), math.Inf(1), 2e4} {
		m.now.h[3][3] = v
		if _, err := m.part(nil); err == nil {
			t.Errorf("a height of %g is taken for air", v)
		}
	}
}
