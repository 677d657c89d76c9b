package main

// The hot loops. Each is a small leaf function over rows: Go compiled to
// WebAssembly is fast only in such. All rows are equally long; the slices are
// cut to one length so that the compiler drops bounds checks. Conversions to
// float64 are not needed here: WebAssembly fuses no product into a sum, and
// results are only ever computed there.

// bernoulli sets b = g·h + (u² + v²)/2 in the middle of each cell.
func bernoulli(b, h, u, south, north []float64) {
	n := len(b) - 1
	right := u[1:][:n]
	b, h, u, south, north = b[:n], h[:n], u[:n], south[:n], north[:n]
	for i := range b {
		b[i] = gravity*h[i] + 0.25*(u[i]*u[i]+right[i]*right[i]+south[i]*south[i]+north[i]*north[i])
	}
}

// transportX sets U = h·u on each west side.
func transportX(t, h, u []float64) {
	n := len(t) - 1
	left := h[:n]
	t, h, u = t[1:][:n], h[1:][:n], u[1:][:n]
	for i := range t {
		t[i] = 0.5 * (left[i] + h[i]) * u[i]
	}
}

// transportY sets V = h·v on each south side.
func transportY(t, south, north, v []float64) {
	south, north, v = south[:len(t)], north[:len(t)], v[:len(t)]
	for i := range t {
		t[i] = 0.5 * (south[i] + north[i]) * v[i]
	}
}

// vorticity sets the potential vorticity q in each south-west corner.
func vorticity(q, hs, hn, us, un, v []float64, f, perMetre float64) {
	n := len(q) - 1
	hsw, hnw, vw := hs[:n], hn[:n], v[:n]
	q, hs, hn, us, un, v = q[1:][:n], hs[1:][:n], hn[1:][:n], us[1:][:n], un[1:][:n], v[1:][:n]
	for i := range q {
		curl := f + (v[i]-vw[i]-un[i]+us[i])*perMetre
		q[i] = 4 * curl / (hsw[i] + hs[i] + hnw[i] + hn[i])
	}
}

// advanceH adds the convergence of the transports; r is dt/d.
func advanceH(to, from, u, vs, vn []float64, r float64) {
	n := len(to) - 2
	east := u[2:][:n]
	to, from, u, vs, vn = to[1:][:n], from[1:][:n], u[1:][:n], vs[1:][:n], vn[1:][:n]
	for i := range to {
		to[i] = from[i] - r*(east[i]-u[i]+vn[i]-vs[i])
	}
}

// advanceU adds q·V − ∂B/∂x.
func advanceU(to, from, b, qs, qn, vs, vn []float64, r, dt float64) {
	n := len(to) - 2
	bw, vsw, vnw := b[:n], vs[:n], vn[:n]
	to, from, b = to[1:][:n], from[1:][:n], b[1:][:n]
	qs, qn, vs, vn = qs[1:][:n], qn[1:][:n], vs[1:][:n], vn[1:][:n]
	dt *= 0.25
	for i := range to {
		to[i] = from[i] + dt*(qs[i]*(vsw[i]+vs[i])+qn[i]*(vnw[i]+vn[i])) - r*(b[i]-bw[i])
	}
}

// advanceV adds −q·U − ∂B/∂y.
func advanceV(to, from, bs, bn, q, us, un []float64, r, dt float64) {
	n := len(to) - 2
	qe, use, une := q[2:][:n], us[2:][:n], un[2:][:n]
	to, from, bs, bn = to[1:][:n], from[1:][:n], bs[1:][:n], bn[1:][:n]
	q, us, un = q[1:][:n], us[1:][:n], un[1:][:n]
	dt *= 0.25
	for i := range to {
		to[i] = from[i] - dt*(q[i]*(us[i]+un[i])+qe[i]*(use[i]+une[i])) - r*(bn[i]-bs[i])
	}
}

// laplacianRow sets the sum of four neighbours less four times the middle.
func laplacianRow(to, south, middle, north []float64) {
	n := len(to) - 2
	west, east := middle[:n], middle[2:][:n]
	to, south, middle, north = to[1:][:n], south[1:][:n], middle[1:][:n], north[1:][:n]
	for i := range to {
		to[i] = west[i] + east[i] + south[i] + north[i] - 4*middle[i]
	}
}

// subtract takes k times other off a row.
func subtract(row, other []float64, k float64) {
	other = other[:len(row)]
	for i := range row {
		row[i] -= k * other[i]
	}
}
