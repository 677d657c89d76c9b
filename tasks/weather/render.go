package main

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"slices"

	"potluck/tasks/picture"
)

// The picture: the mean and the spread side by side, plumes below.
const (
	pictureWidth, pictureHeight = 1440, 880
	mapWidth, mapHeight         = 560, 280
	margin                      = 72
)

// Each place has a colour (of Okabe and Ito's set for the colour-blind).
var inks = [len(places)]color.RGBA{{240, 190, 60, 255}, {86, 200, 255, 255}, {120, 220, 150, 255}}

// render draws what is there of an ensemble.
func render(p params, sum part) ([]byte, error) {
	c, err := picture.New(pictureWidth, pictureHeight)
	if err != nil {
		return nil, err
	}
	d := drawing{Canvas: c, params: p, part: sum}
	for _, draw := range []func() error{d.heading, d.mean, d.spread, d.plumesAll} {
		if err := draw(); err != nil {
			return nil, err
		}
	}
	return c.PNG(d.caption())
}

type drawing struct {
	*picture.Canvas
	part
	params params
	smooth []float64 // mean heights in metres, a value a pixel of the map
}

func (d *drawing) caption() string {
	return fmt.Sprintf("Ensemble forecast for day %d, from %d of %d members.", d.params.Days, d.members, d.params.Members)
}

func (d *drawing) heading() error {
	err := d.Write(margin, 58, picture.Large, picture.Left, picture.Text, fmt.Sprintf("The weather on day %d", d.params.Days))
	if err != nil {
		return err
	}
	text := fmt.Sprintf("%d of %d members", d.members, d.params.Members)
	return d.Write(pictureWidth-margin, 58, picture.Medium, picture.Right, picture.Faint, text)
}

// chart puts a map at x, with degrees of latitude and kilometres around it.
func (d *drawing) chart(x int, title string) (*picture.Axes, error) {
	a := &picture.Axes{
		Canvas: d.Canvas, Box: image.Rect(x, 130, x+mapWidth, 130+mapHeight),
		Low: [2]float64{0, 0}, High: [2]float64{length / 1e3, width / 1e3},
	}
	var up []picture.Tick
	for _, latitude := range []float64{25, 35, 45, 55, 65} {
		const kilometres = 111.2 // of a degree
		up = append(up, picture.Tick{At: width/2e3 + (latitude-45)*kilometres, Label: fmt.Sprintf("%.0f° N", latitude)})
	}
	var across []picture.Tick
	for _, kilometres := range []float64{2000, 4000, 6000, 8000, 10_000} {
		across = append(across, picture.Tick{At: kilometres, Label: fmt.Sprintf("%.0f km", kilometres)})
	}
	a.Fill(a.Box, picture.Panel)
	return a, a.Frame(title, across, up, false)
}

func (d *drawing) field(sums []int64, unit float64) picture.Field {
	f := picture.Field{Columns: d.params.Columns, Values: make([]float64, len(sums)), Wraps: true}
	for i, v := range sums {
		f.Values[i] = float64(v) / float64(d.members) / unit
	}
	return f
}

// mean draws the mean vorticity as colours and the mean heights as lines.
func (d *drawing) mean() error {
	a, err := d.chart(margin+20, "Mean: vorticity (10⁻⁵/s) and lines of height every 100 m")
	if err != nil || d.members == 0 {
		return err
	}
	d.smooth = d.field(d.height, perMetre).Smooth(mapWidth, mapHeight)
	curl := d.field(d.curl, perCurl/1e5)
	most := 0.0
	for _, v := range curl.Values {
		most = max(most, math.Abs(v))
	}
	most = nice(0.9 * most)
	d.Paint(a.Box, curl.Smooth(mapWidth, mapHeight), -most, most, picture.Berlin)
	d.Contours(a.Box, d.smooth, 100, picture.Text, 0.55)
	if err := d.marks(a); err != nil {
		return err
	}
	bar := image.Rect(a.Box.Max.X+14, a.Box.Min.Y, a.Box.Max.X+30, a.Box.Max.Y)
	return d.Bar(bar, -most, most, picture.Berlin, picture.Ticks(-most, most, 4))
}

// nice rounds up to a number that a legend likes to end with.
func nice(v float64) float64 {
	for _, n := range []float64{0.5, 1, 2, 4, 6, 8, 10, 15, 20, 30, 40, 60, 80, 100, 150, 200, 300, 400, 600, 800, 1000} {
		if v <= n {
			return n
		}
	}
	return v
}

// spread draws the standard deviation of the heights among the members.
func (d *drawing) spread() error {
	a, err := d.chart(pictureWidth/2+margin+12, "Spread: how far members differ in height (m)")
	if err != nil || d.members == 0 {
		return err
	}
	f, most := d.deviation()
	d.Paint(a.Box, f.Smooth(mapWidth, mapHeight), 0, most, picture.Inferno)
	d.Contours(a.Box, d.smooth, 100, picture.Text, 0.28)
	if d.members == 1 {
		err = d.Write(a.Box.Min.X+mapWidth/2, a.Box.Max.Y-24, picture.Small, picture.Centre, picture.Text, "one member does not differ from itself")
	}
	if err == nil {
		err = d.marks(a)
	}
	if err != nil {
		return err
	}
	bar := image.Rect(a.Box.Max.X+14, a.Box.Min.Y, a.Box.Max.X+30, a.Box.Max.Y)
	return d.Bar(bar, 0, most, picture.Inferno, picture.Ticks(0, most, 4))
}

// deviation is the standard deviation at each cell, in metres, and the end of
// its scale. n·Σh² and (Σh)² are exact integers, but may need more than 64 bits;
// their difference is only as exact as a float64, which is enough to be drawn.
func (d *drawing) deviation() (f picture.Field, most float64) {
	f = picture.Field{Columns: d.params.Columns, Values: make([]float64, len(d.height)), Wraps: true}
	n := float64(d.members)
	for i := range f.Values {
		mean := float64(d.height[i]) / n
		variance := (float64(d.square[i]) - mean*float64(d.height[i])) / max(n-1, 1)
		f.Values[i] = math.Sqrt(max(variance, 0)) / perMetre
		most = max(most, f.Values[i])
	}
	return f, nice(most)
}

// marks shows the places on a map.
func (d *drawing) marks(a *picture.Axes) error {
	for i, p := range places {
		x, y := a.X(p.X*length/1e3), a.Y(p.Y*width/1e3)
		d.Disc(x, y, 12, inks[i])
		if err := d.Write(int(x), int(y)+7, picture.Medium, picture.Centre, picture.Ground, p.Name); err != nil {
			return err
		}
	}
	return nil
}

// plumesAll draws the heights of every member at each place.
func (d *drawing) plumesAll() error {
	const gap, box = 62, 390
	for i, p := range places {
		low, high := d.extremes(i)
		x := margin + 20 + i*(box+gap)
		a := &picture.Axes{
			Canvas: d.Canvas, Box: image.Rect(x, 510, x+box, 510+300),
			Low: [2]float64{0, low}, High: [2]float64{float64(d.params.Days), high},
		}
		across := picture.Ticks(0, float64(d.params.Days), min(d.params.Days, 7))
		title := p.Name + ": height (m) by day"
		if err := a.Frame(title, across, picture.Ticks(low, high, 5), true); err != nil {
			return err
		}
		if d.members > 0 {
			d.plume(a, i)
		}
	}
	text := "A thin line is a member, the strong one their median; the band holds 8 of 10 members."
	return d.Write(margin+20, pictureHeight-18, picture.Small, picture.Left, picture.Faint, text)
}

// extremes are the lowest and the highest height in the plume of a place, and
// some air.
func (d *drawing) extremes(place int) (low, high float64) {
	if len(d.plumes) == 0 {
		return -200, 200
	}
	low, high = math.Inf(1), math.Inf(-1)
	for i := place; i < len(d.plumes); i += len(places) {
		h := float64(d.plumes[i]) / perMetre
		low, high = min(low, h), max(high, h)
	}
	air := 10 + (high-low)/12
	return low - air, high + air
}

// plume draws the members' lines at a place, a band for eight of ten of them
// and their median.
func (d *drawing) plume(a *picture.Axes, place int) {
	times := len(d.plumes) / int(d.members) / len(places)
	byTime := make([][]float64, times)
	for m := range int(d.members) {
		line := make([]float64, times)
		for t := range line {
			line[t] = float64(d.plumes[(m*times+t)*len(places)+place]) / perMetre
			byTime[t] = append(byTime[t], line[t])
		}
		if m < 200 { // more would only make it white
			a.Line(line, 1.3, inks[place], max(0.12, min(0.75, 8/float64(d.members))))
		}
	}
	low, middle, high := make([]float64, times), make([]float64, times), make([]float64, times)
	for t, all := range byTime {
		slices.Sort(all)
		low[t], middle[t], high[t] = quantile(all, 0.1), quantile(all, 0.5), quantile(all, 0.9)
	}
	if d.members >= 10 {
		a.Band(low, high, inks[place], 0.22)
	}
	a.Line(middle, 3, color.RGBA{255, 255, 255, 255}, 0.95)
}

// quantile interpolates in sorted values.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := min(int(at), len(sorted)-2)
	if i < 0 {
		return sorted[0]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}
