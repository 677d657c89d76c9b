package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// A part is what some members sum up to. All of it are integers, so that a sum
// is the same in whatever grouping it was made; sums of floating-point numbers
// are not.
//
// Bounds: a height is at most 10⁶ cm from the mean depth, or the member has
// failed, and a vorticity at most 10⁷ nano-units. With at most 2000 members the
// sums of squares stay below 2·10¹⁵, far from the 9·10¹⁸ of an int64.
type part struct {
	members int64
	height  []int64 // sums over the members, cell by cell: heights, cm
	square  []int64 // of squared heights, cm²
	curl    []int64 // of relative vorticities, 10⁻⁹/s
	plumes  []int64 // heights in cm: member by member, time by time, place by place
}

const (
	perMetre   = 100 // steps of a height
	perCurl    = 1e9 // steps of a vorticity
	mostHeight = 1e6
	mostCurl   = 1e7
)

var errFailed = errors.New("the model has left the range of what air can do")

// join adds two parts, of which either may be nothing yet.
func join(a, b part) (part, error) {
	switch {
	case a.members == 0:
		return b, nil
	case b.members == 0:
		return a, nil
	case len(a.height) != len(b.height):
		return a, errors.New("two parts are of different grids")
	}
	return part{
		members: a.members + b.members,
		height:  sums(a.height, b.height),
		square:  sums(a.square, b.square),
		curl:    sums(a.curl, b.curl),
		plumes:  append(append(make([]int64, 0, len(a.plumes)+len(b.plumes)), a.plumes...), b.plumes...),
	}, nil
}

func sums(a, b []int64) []int64 {
	out := make([]int64, len(a))
	for i := range out {
		out[i] = a[i] + b[i]
	}
	return out
}

// part is the one of a single member: the state now, and its plume.
func (m *model) part(plume []int64) (part, error) {
	p := part{members: 1, plumes: plume}
	for j := range m.rows {
		for i := 1; i <= m.columns; i++ {
			h, z := m.heightAt(i, j), math.Round(m.curlAt(i, j)*perCurl)
			if !(math.Abs(h) < mostHeight && math.Abs(z) < mostCurl) { // so written, it catches NaN
				return p, errFailed
			}
			p.height = append(p.height, int64(h))
			p.square = append(p.square, int64(h)*int64(h))
			p.curl = append(p.curl, int64(z))
		}
	}
	return p, nil
}

// heightAt is the height of a cell over the mean depth, in whole centimetres.
func (m *model) heightAt(i, j int) float64 {
	return math.Round((m.now.h[j][i] - depth) * perMetre)
}

// curlAt is the relative vorticity of a cell, the mean of that of its corners.
// On the walls it is 0.
func (m *model) curlAt(i, j int) (z float64) {
	u, v := m.now.u, m.now.v
	for _, row := range [2]int{j, j + 1} {
		if row == 0 || row == m.rows {
			continue
		}
		for _, column := range [2]int{i, i + 1} {
			z += v[row][column] - v[row][column-1] - u[row][column] + u[row-1][column]
		}
	}
	return z / 4 / m.d
}

// Places are where plumes are drawn, as shares of the channel's length and width.
var places = [3]struct {
	Name string
	X, Y float64
}{{"A", 0.2, 0.5}, {"B", 0.5, 0.62}, {"C", 0.8, 0.38}}

// sample appends the heights at the places.
func (m *model) sample(plume []int64) []int64 {
	for _, p := range places {
		h := m.heightAt(1+int(p.X*float64(m.columns)), int(p.Y*float64(m.rows)))
		plume = append(plume, int64(max(-mostHeight, min(h, mostHeight))))
	}
	return plume
}

// MarshalBinary writes a part as varints: members, cells, length of the plumes,
// then the lists, each value as its difference from the one before.
func (p part) MarshalBinary() ([]byte, error) { //nolint:unparam // encoding.BinaryMarshaler is so
	out := make([]byte, 0, 12*len(p.height)+2*len(p.plumes)+16)
	for _, v := range []int64{p.members, int64(len(p.height)), int64(len(p.plumes))} {
		out = binary.AppendVarint(out, v)
	}
	for _, list := range [][]int64{p.height, p.square, p.curl, p.plumes} {
		last := int64(0)
		for _, v := range list {
			out = binary.AppendVarint(out, v-last)
			last = v
		}
	}
	return out, nil
}

// UnmarshalBinary reads what MarshalBinary wrote.
func (p *part) UnmarshalBinary(data []byte) error {
	if len(data) == 0 { // nothing was computed yet
		*p = part{}
		return nil
	}
	r := reader{data: data}
	p.members = r.next()
	cells, plumes := r.next(), r.next()
	p.height, p.square, p.curl, p.plumes = r.list(cells), r.list(cells), r.list(cells), r.list(plumes)
	if r.err == nil && len(r.data) > 0 {
		r.err = fmt.Errorf("%d bytes after a part", len(r.data))
	}
	return r.err
}

// A reader takes varints off some bytes; after an error it gives zeros.
type reader struct {
	data []byte
	err  error
}

func (r *reader) next() int64 {
	v, n := binary.Varint(r.data)
	if n <= 0 {
		r.err, r.data = errors.New("a part is cut short"), nil
		return 0
	}
	r.data = r.data[n:]
	return v
}

func (r *reader) list(n int64) []int64 {
	if n < 0 || n > int64(len(r.data)) { // a value takes a byte at least
		r.err = errors.New("a part is cut short")
		return nil
	}
	out, last := make([]int64, n), int64(0)
	for i := range out {
		last += r.next()
		out[i] = last
	}
	return out
}
