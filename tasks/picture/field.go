package picture

import (
	"image"
	"image/color"
	"math"
)

// A Field is a grid of values: Columns in each row, the lowest row first. One
// that Wraps goes on at its other side.
type Field struct {
	Columns int
	Values  []float64
	Wraps   bool
}

// Smooth resamples a field to pixels, the highest row first, by cubic
// convolution (Keys, IEEE Trans. ASSP 29 (1981) 1153–1160): first along the
// rows, then along the columns.
func (f Field) Smooth(width, height int) []float64 {
	rows := len(f.Values) / f.Columns
	across := make([]float64, rows*width)
	for x, tap := range taps(f.Columns, width, f.Wraps) {
		for j := range rows {
			across[j*width+x] = tap.along(f.Values[j*f.Columns:], 1)
		}
	}
	out := make([]float64, width*height)
	for y, tap := range taps(rows, height, false) {
		row := out[(height-1-y)*width:][:width]
		for x := range row {
			row[x] = tap.along(across[x:], width)
		}
	}
	return out
}

// A tap is the four grid points around a pixel and their weights.
type tap struct {
	at     [4]int
	weight [4]float64
}

func (t *tap) along(values []float64, stride int) float64 {
	return t.weight[0]*values[t.at[0]*stride] + t.weight[1]*values[t.at[1]*stride] +
		t.weight[2]*values[t.at[2]*stride] + t.weight[3]*values[t.at[3]*stride]
}

func taps(points, pixels int, wraps bool) []tap {
	all := make([]tap, pixels)
	for p := range all {
		at := (float64(p)+0.5)*float64(points)/float64(pixels) - 0.5
		first := int(math.Floor(at))
		all[p].weight = keys(at - float64(first))
		for k := range 4 {
			i := first + k - 1
			if wraps {
				i = (i + points) % points
			}
			all[p].at[k] = max(0, min(i, points-1))
		}
	}
	return all
}

// keys are the weights of the points at -1, 0, 1 and 2 for one at t.
func keys(t float64) [4]float64 {
	return [4]float64{
		((2-t)*t - 1) * t / 2,
		((3*t-5)*t*t + 2) / 2,
		((4-3*t)*t + 1) * t / 2,
		(t - 1) * t * t / 2,
	}
}

// Paint colours a rectangle by values, one a pixel, from low to high.
func (c *Canvas) Paint(r image.Rectangle, values []float64, low, high float64, s Scale) {
	colours := s.table()
	k := float64(len(colours)-1) / (high - low)
	for y := range r.Dy() {
		pix := c.img.Pix[c.img.PixOffset(r.Min.X, r.Min.Y+y):]
		for x, v := range values[y*r.Dx():][:r.Dx()] {
			ink := colours[max(0, min(int((v-low)*k), len(colours)-1))]
			pix[4*x], pix[4*x+1], pix[4*x+2], pix[4*x+3] = ink.R, ink.G, ink.B, 255
		}
	}
}

// Contours draws the lines where values, one a pixel, pass a multiple of every.
// How near a pixel is to a line follows from its value and the slope there.
func (c *Canvas) Contours(r image.Rectangle, values []float64, every float64, ink color.RGBA, strength float64) {
	w := r.Dx()
	for y := 1; y < r.Dy()-1; y++ {
		for x := 1; x < w-1; x++ {
			i := y*w + x
			v := values[i] / every
			off := math.Abs(v - math.Round(v))
			dx, dy := values[i+1]-values[i-1], values[i+w]-values[i-w]
			slope := math.Sqrt(dx*dx+dy*dy) / 2 / every
			if off < 1.2*slope {
				c.Blend(r.Min.X+x, r.Min.Y+y, ink, strength*min(1, 1.2-off/slope))
			}
		}
	}
}

// Bar draws the legend of a scale, upright, with ticks and what is measured.
func (c *Canvas) Bar(r image.Rectangle, low, high float64, s Scale, ticks []Tick) error {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		v := float64(r.Max.Y-1-y) / float64(r.Dy()-1)
		c.Fill(image.Rect(r.Min.X, y, r.Max.X, y+1), s.At(v))
	}
	for _, t := range ticks {
		y := r.Max.Y - 1 - int(math.Round((t.At-low)/(high-low)*float64(r.Dy()-1)))
		c.Fill(image.Rect(r.Max.X, y, r.Max.X+5, y+1), Faint)
		if err := c.Write(r.Max.X+9, y+6, Small, Left, Faint, t.Label); err != nil {
			return err
		}
	}
	return nil
}
