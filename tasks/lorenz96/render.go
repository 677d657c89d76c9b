package main

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"slices"

	"potluck/tasks/picture"
)

const (
	pictureWidth, pictureHeight = 1440, 880
	top, bottom                 = 140, 800 // of the panels
	daysPerUnit                 = 5
)

var (
	lineInk  = color.RGBA{86, 200, 255, 255}
	valueInk = color.RGBA{240, 190, 60, 255}
)

// render draws what is there: a trajectory and its twin on the left, the
// exponents on the right.
func render(p params, sum part) ([]byte, error) {
	c, err := picture.New(pictureWidth, pictureHeight)
	if err != nil {
		return nil, err
	}
	d := drawing{Canvas: c, params: p, part: sum, estimate: exponent(sum)}
	for _, draw := range []func() error{d.heading, d.trajectory, d.difference, d.funnel, d.histogram} {
		if err := draw(); err != nil {
			return nil, err
		}
	}
	return c.PNG(d.caption())
}

// An estimate is the mean exponent of some starts, and its standard error. The
// starts are independent, so that it is their standard deviation over √n.
type estimate struct {
	starts          int
	mean, deviation float64
}

func (e estimate) stderr() float64 { return e.deviation / math.Sqrt(float64(e.starts)) }

// exponent makes the estimate of the last point of each curve.
func exponent(sum part) (e estimate) {
	total := int64(0) // at most 20,000 times some 10⁷
	for last := curvePoints - 1; last < len(sum.curves); last += curvePoints {
		total += sum.curves[last]
		e.starts++
	}
	if e.starts == 0 {
		return e
	}
	e.mean = float64(total) / float64(e.starts) / perExponent
	for last := curvePoints - 1; last < len(sum.curves); last += curvePoints {
		off := float64(sum.curves[last])/perExponent - e.mean
		e.deviation += off * off
	}
	e.deviation = math.Sqrt(e.deviation / float64(max(e.starts-1, 1)))
	return e
}

type drawing struct {
	*picture.Canvas
	params
	part
	estimate
}

// value is the exponent in words, as exactly as it is known.
func (d *drawing) value() string {
	if d.starts < 2 {
		return fmt.Sprintf("%.2f", d.mean)
	}
	digits := max(0, min(int(math.Ceil(-math.Log10(max(d.stderr(), 1e-6))))+1, 5))
	return fmt.Sprintf("%.*f ± %.*f", digits, d.mean, digits, d.stderr())
}

func (d *drawing) caption() string {
	return fmt.Sprintf("Leading Lyapunov exponent of Lorenz's model, N = %d, F = %g: %s, from %d of %d starts.",
		d.Sites, d.Forcing, d.value(), d.starts, d.Starts)
}

func (d *drawing) heading() error {
	text := "How fast errors grow"
	if d.starts > 0 && d.mean > 0 {
		text = fmt.Sprintf("Errors double in %.1f days", math.Ln2/d.mean*daysPerUnit)
	} else if d.starts > 0 {
		text = "Errors do not grow"
	}
	err := d.Write(72, 62, picture.Large, picture.Left, picture.Text, text)
	if err != nil {
		return err
	}
	text = fmt.Sprintf("Lorenz's model with %d sites and forcing %g;  %d of %d starts", d.Sites, d.Forcing, d.starts, d.Starts)
	return d.Write(pictureWidth-50, 62, picture.Medium, picture.Right, picture.Faint, text)
}

// strip is a panel with places across and days up, later ones higher.
func (d *drawing) strip(x int, title, foot string) (*picture.Axes, error) {
	a := &picture.Axes{
		Canvas: d.Canvas, Box: image.Rect(x, top, x+270, bottom),
		Low: [2]float64{0, 0}, High: [2]float64{float64(d.Sites), twinUnits * daysPerUnit},
	}
	a.Fill(a.Box, picture.Panel)
	if err := a.Frame(title, picture.Ticks(0, float64(d.Sites), 4), picture.Ticks(0, twinUnits*daysPerUnit, 8), false); err != nil {
		return a, err
	}
	return a, d.Write(a.Box.Min.X+a.Box.Dx()/2, bottom+50, picture.Small, picture.Centre, picture.Faint, foot)
}

// sites takes one of the two kinds of lists out of twins.
func (d *drawing) sites(kind int, unit float64) (f picture.Field, ok bool) {
	n := d.Sites
	if len(d.twins) != 2*n*twinTimes {
		return f, false // the first trajectory is not there yet
	}
	f = picture.Field{Columns: n, Wraps: true}
	for t := range twinTimes {
		for _, v := range d.twins[(2*t+kind)*n:][:n] {
			f.Values = append(f.Values, float64(v)/unit)
		}
	}
	return f, true
}

func (d *drawing) trajectory() error {
	a, err := d.strip(72, "Weather by site and day", "sites; days upwards")
	f, ok := d.sites(0, perValue)
	if err != nil || !ok {
		return err
	}
	const most = 12
	d.Paint(a.Box, f.Smooth(a.Box.Dx(), a.Box.Dy()), -most, most, picture.Berlin)
	return d.Bar(image.Rect(a.Box.Max.X+14, top, a.Box.Max.X+30, bottom), -most, most, picture.Berlin, picture.Ticks(-most, most, 4))
}

func (d *drawing) difference() error {
	a, err := d.strip(72+400, "How far off its twin is", fmt.Sprintf("it began 10⁻⁶ off at site %d", d.Sites/2))
	f, ok := d.sites(1, perDecade)
	if err != nil || !ok {
		return err
	}
	const low, high = -7, 1
	d.Paint(a.Box, f.Smooth(a.Box.Dx(), a.Box.Dy()), low, high, picture.Inferno)
	ticks := []picture.Tick{{At: -6, Label: "10⁻⁶"}, {At: -4, Label: "10⁻⁴"}, {At: -2, Label: "0.01"}, {At: 0, Label: "1"}, {At: 1, Label: "10"}}
	return d.Bar(image.Rect(a.Box.Max.X+14, top, a.Box.Max.X+30, bottom), low, high, picture.Inferno, ticks)
}

const right = 72 + 820 // where the panels on the right begin

// funnel draws the exponent so far of every start: they all go to the same.
func (d *drawing) funnel() error {
	low, high := d.mean-0.6, d.mean+0.6
	a := &picture.Axes{
		Canvas: d.Canvas, Box: image.Rect(right, top, pictureWidth-50, top+290),
		Low: [2]float64{float64(d.Length) / curvePoints, low}, High: [2]float64{float64(d.Length), high},
	}
	across := picture.Ticks(a.Low[0], a.High[0], 4)
	if err := a.Frame("Growth rate of errors so far, by time: every start", across, picture.Ticks(low, high, 6), true); err != nil {
		return err
	}
	for i := range min(d.starts, 300) { // more would only make it white
		line := make([]float64, curvePoints)
		for k := range line {
			line[k] = float64(d.curves[i*curvePoints+k]) / perExponent
		}
		a.Line(line, 1.2, lineInk, max(0.1, min(0.7, 8/float64(d.starts))))
	}
	if d.starts > 0 {
		a.Line([]float64{d.mean, d.mean}, 2.5, valueInk, 1)
	}
	return nil
}

// histogram draws how the exponents of the starts are distributed, and how
// exactly their mean is known.
func (d *drawing) histogram() error {
	spread := max(4*d.deviation, 0.02)
	counts, most := d.bins(spread)
	a := &picture.Axes{
		Canvas: d.Canvas, Box: image.Rect(right, 540, pictureWidth-50, bottom),
		Low: [2]float64{d.mean - spread, 0}, High: [2]float64{d.mean + spread, 1.1 * most},
	}
	across := picture.Ticks(a.Low[0], a.High[0], 5)
	if err := a.Frame("Leading Lyapunov exponent: "+d.value(), across, picture.Ticks(0, 1.1*most, 4), true); err != nil {
		return err
	}
	for i, n := range counts {
		w := float64(a.Box.Dx()) / float64(len(counts))
		x := float64(a.Box.Min.X) + float64(i)*w
		d.Fill(image.Rect(int(x)+1, int(a.Y(n)), int(x+w), bottom), lineInk)
	}
	if d.starts > 0 {
		d.meanLine(a)
	}
	return d.Write(right+a.Box.Dx()/2, bottom+50, picture.Small, picture.Centre, picture.Faint, "starts by exponent; their mean ± 2 standard errors")
}

func (d *drawing) meanLine(a *picture.Axes) {
	from, to := int(a.X(d.mean-2*d.stderr())), int(a.X(d.mean+2*d.stderr()))+1
	for x := from; x < to; x++ {
		for y := a.Box.Min.Y; y < a.Box.Max.Y; y++ {
			d.Blend(x, y, valueInk, 0.45)
		}
	}
	x := int(a.X(d.mean))
	d.Fill(image.Rect(x-1, a.Box.Min.Y, x+1, a.Box.Max.Y), valueInk)
}

// bins counts exponents in bars, of which there are more the more starts there are.
func (d *drawing) bins(spread float64) (counts []float64, most float64) {
	counts = make([]float64, max(9, min(2*int(math.Sqrt(float64(d.starts))), 60)))
	for i := range d.starts {
		v := float64(d.curves[(i+1)*curvePoints-1]) / perExponent
		at := (v - d.mean + spread) / (2 * spread) * float64(len(counts))
		counts[max(0, min(int(at), len(counts)-1))]++
	}
	return counts, max(4, slices.Max(counts))
}
