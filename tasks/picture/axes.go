package picture

import (
	"image"
	"image/color"
	"math"
	"strconv"
	"strings"
)

// A Tick is a mark on an axis.
type Tick struct {
	At    float64
	Label string
}

// Ticks are round numbers from low to high, about so many or somewhat more.
func Ticks(low, high float64, about int) (ticks []Tick) {
	if !(high > low) {
		return nil
	}
	step := math.Pow(10, math.Floor(math.Log10((high-low)/float64(about))))
	for _, k := range []float64{10, 5, 2} {
		if (high-low)/(step*k) >= float64(about)-0.5 {
			step *= k
			break
		}
	}
	for k := math.Ceil(low/step - 1e-9); k*step <= high+step*1e-9; k++ {
		ticks = append(ticks, Tick{k * step, Number(k*step, step)})
	}
	return ticks
}

// Number writes a number as exactly as step asks for, with a real minus sign.
func Number(v, step float64) string {
	digits := max(0, int(math.Ceil(-math.Log10(step)-1e-9)))
	text := strconv.FormatFloat(v, 'f', digits, 64)
	if strings.Trim(text, "-0.") == "" {
		text = strings.TrimPrefix(text, "-")
	}
	return strings.Replace(text, "-", "−", 1)
}

// Axes are a rectangle of the canvas and the range of values in it.
type Axes struct {
	*Canvas
	Box       image.Rectangle
	Low, High [2]float64 // of x and y
}

// X and Y are where a value lies on the canvas.
func (a *Axes) X(v float64) float64 {
	return float64(a.Box.Min.X) + (v-a.Low[0])/(a.High[0]-a.Low[0])*float64(a.Box.Dx())
}

// Y is the same for the upright axis.
func (a *Axes) Y(v float64) float64 {
	return float64(a.Box.Max.Y) - (v-a.Low[1])/(a.High[1]-a.Low[1])*float64(a.Box.Dy())
}

// Frame writes a title above the box and ticks beside it. With lines, the box
// is filled and the ticks go on as lines through it.
func (a *Axes) Frame(title string, across, up []Tick, lines bool) error {
	if lines {
		a.Fill(a.Box, Panel)
	}
	err := a.Write(a.Box.Min.X, a.Box.Min.Y-14, Medium, Left, Text, title)
	for _, t := range across {
		x := int(math.Round(a.X(t.At)))
		a.mark(image.Rect(x, a.Box.Max.Y, x+1, a.Box.Max.Y+5), image.Rect(x, a.Box.Min.Y, x+1, a.Box.Max.Y), lines)
		if err == nil {
			err = a.Write(x, a.Box.Max.Y+23, Small, Centre, Faint, t.Label)
		}
	}
	for _, t := range up {
		y := int(math.Round(a.Y(t.At)))
		a.mark(image.Rect(a.Box.Min.X-5, y, a.Box.Min.X, y+1), image.Rect(a.Box.Min.X, y, a.Box.Max.X, y+1), lines)
		if err == nil {
			err = a.Write(a.Box.Min.X-9, y+6, Small, Right, Faint, t.Label)
		}
	}
	return err
}

func (a *Axes) mark(outside, inside image.Rectangle, lines bool) {
	a.Fill(outside, Faint)
	if lines {
		a.Fill(inside.Intersect(a.Box), Grid)
	}
}

// Line draws a smooth curve through values at equal distances from the left
// side to the right one: for each column of pixels a piece that is as high as
// the curve is steep there.
func (a *Axes) Line(values []float64, thick float64, ink color.RGBA, strength float64) {
	if len(values) < 2 {
		return
	}
	y := Field{Columns: len(values), Values: values}.ends(a.Box.Dx() + 1)
	for i := range y {
		y[i] = a.Y(y[i])
	}
	for x := range a.Box.Dx() {
		slope := y[x+1] - y[x]
		lean := math.Sqrt(1 + slope*slope)
		middle, reach := (y[x]+y[x+1])/2, (thick/2+0.5)*lean
		for py := max(a.Box.Min.Y, int(middle-reach)); py <= min(a.Box.Max.Y-1, int(middle+reach)+1); py++ {
			a.Blend(a.Box.Min.X+x, py, ink, strength*min(1, thick/2+0.5-math.Abs(float64(py)+0.5-middle)/lean))
		}
	}
}

// ends resamples a single row so that its first and last value lie on the ends.
func (f Field) ends(pixels int) []float64 {
	out := make([]float64, pixels)
	for p := range out {
		at := float64(p) * float64(f.Columns-1) / float64(pixels-1)
		first := min(int(at), f.Columns-2)
		w := keys(at - float64(first))
		for k := range 4 {
			out[p] += w[k] * f.Values[max(0, min(first+k-1, f.Columns-1))]
		}
	}
	return out
}

// Band fills between two curves.
func (a *Axes) Band(low, high []float64, ink color.RGBA, strength float64) {
	if len(low) < 2 {
		return
	}
	bottom := Field{Columns: len(low), Values: low}.ends(a.Box.Dx())
	top := Field{Columns: len(high), Values: high}.ends(a.Box.Dx())
	for x := range bottom {
		from, to := a.Y(top[x]), a.Y(bottom[x])
		for y := max(a.Box.Min.Y, int(from)); y <= min(a.Box.Max.Y-1, int(to)); y++ {
			cover := min(1, float64(y)+1-from) * min(1, to-float64(y))
			a.Blend(a.Box.Min.X+x, y, ink, strength*cover)
		}
	}
}
