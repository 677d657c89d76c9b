package picture

import (
	"math"
	"strings"
	"testing"
)

func labels(ticks []Tick) string {
	var all []string
	for _, t := range ticks {
		all = append(all, t.Label)
	}
	return strings.Join(all, " ")
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		about     int
		want      string
	}{
		{0, 10, 5, "0 2 4 6 8 10"},
		{-8, 8, 4, "−8 −6 −4 −2 0 2 4 6 8"},
		{1.45, 1.93, 4, "1.5 1.6 1.7 1.8 1.9"},
		{-0.3, 0.3, 6, "−0.3 −0.2 −0.1 0.0 0.1 0.2 0.3"},
		{5, 5, 4, ""},
	} {
		if got := labels(Ticks(c.low, c.high, c.about)); got != c.want {
			t.Errorf("from %g to %g: %q instead of %q", c.low, c.high, got, c.want)
		}
	}
}

// Cubic convolution gives a slope back as it is, away from the edges, and a
// field that wraps has no edge.
func TestSmooth(t *testing.T) {
	slope := Field{Columns: 8, Values: make([]float64, 64)}
	for i := range slope.Values {
		slope.Values[i] = float64(i%8) + 10*float64(i/8)
	}
	got := slope.Smooth(80, 80)
	for y := 20; y < 60; y++ {
		for x := 20; x < 60; x++ {
			want := (float64(x)+0.5)/10 - 0.5 + 10*((float64(79-y)+0.5)/10-0.5)
			if math.Abs(got[y*80+x]-want) > 1e-9 {
				t.Fatalf("at %d, %d: %g instead of %g", x, y, got[y*80+x], want)
			}
		}
	}
	ring := Field{Columns: 4, Values: []float64{0, 1, 0, 1}, Wraps: true}.Smooth(40, 1)
	for x := range 20 {
		if math.Abs(ring[x]-ring[x+20]) > 1e-9 {
			t.Fatalf("pixel %d: %g and, half-way around, %g", x, ring[x], ring[x+20])
		}
	}
}

// The smallest canvas, and things drawn beyond its edge.
func TestDescription(t *testing.T) {
	c, err := New(1, 1)
	if err != nil {
		t.Fatal(err)
	}
	c.Disc(0, 0, 5, Text)
	if err := c.Write(0, 0, Small, Right, Text, "Ω"); err != nil {
		t.Fatal(err)
	}
	file, err := c.PNG("1.68 ± 0.01")
	if err != nil || Description(file) != "1.68 ± 0.01" {
		t.Errorf("described as %q, %v", Description(file), err)
	}
	for n := range file {
		_ = Description(file[:n]) // must not panic
	}
}
