// Package truth knows what the built-in programs must give, from sources of
// its own: published values, the shell, and straightforward code that shares
// nothing with the programs. The tests and the demonstration check against it.
package truth

import (
	"bytes"
	"cmp"
	"fmt"
	"image"
	"image/color"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// Primes is π(x), the number of primes up to x (OEIS A006880 and A000720).
var Primes = map[uint64]uint64{
	10: 4, 100: 25, 1000: 168, 10_000: 1229, 1_000_000: 78_498, 10_000_000: 664_579, 100_000_000: 5_761_455,
	1_000_000_000: 50_847_534, 10_000_000_000: 455_052_511,
}

// Queens is the number of ways to place n queens on an n × n board so that
// none attacks another (OEIS A000170).
var Queens = map[int]uint64{
	1: 1, 2: 0, 3: 0, 4: 2, 5: 10, 6: 4, 7: 40, 8: 92, 9: 352, 10: 724, 11: 2680, 12: 14_200,
	13: 73_712, 14: 365_596, 15: 2_279_184, 16: 14_772_512,
}

// A Count is a word and how often it stands in a text.
type Count struct {
	Word string
	N    int
}

// Words counts the words of a text with the shell, the most frequent first.
func Words(text []byte) ([]Count, error) {
	c := exec.Command("sh", "-c", `tr -cs 'A-Za-z0-9\200-\377' '\n' | tr A-Z a-z | sort | uniq -c`) //nolint:noctx // it ends by itself
	c.Env = []string{"LC_ALL=C", "PATH=/usr/bin:/bin"}
	c.Stdin = bytes.NewReader(text)
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("count words with the shell: %w", err)
	}
	var all []Count
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) != 2 {
			continue // the empty word before a text that does not begin with one
		}
		n, err := strconv.Atoi(fields[0])
		if err != nil {
			return nil, err
		}
		all = append(all, Count{fields[1], n})
	}
	slices.SortFunc(all, func(a, b Count) int {
		return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Word, b.Word))
	})
	return all, nil
}

// A Picture is what part of the Mandelbrot set to draw.
type Picture struct {
	Width      int        `json:"width"`
	Height     int        `json:"height"`
	Center     [2]float64 `json:"center"`
	Zoom       float64    `json:"zoom"`
	Iterations int        `json:"iterations"`
}

// Mandelbrot draws a picture pixel by pixel. 4 units of the plane fit the
// shorter side at zoom 1; the colour of a point is that of the number of steps
// z → z² + c that it takes to leave the circle of radius 2, and points that do
// not leave it are black.
func Mandelbrot(p Picture) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, p.Width, p.Height))
	unit := 4 / p.Zoom / float64(min(p.Width, p.Height))
	for row := range p.Height {
		im := p.Center[1] - float64((float64(row)+0.5-float64(p.Height)/2)*unit)
		for column := range p.Width {
			re := p.Center[0] + float64((float64(column)+0.5-float64(p.Width)/2)*unit)
			img.SetNRGBA(column, row, colour(steps(re, im, p.Iterations), p.Iterations))
		}
	}
	return img
}

// steps rounds every product by itself, as WebAssembly does: where a machine
// would fuse a product and a sum, the last bit would differ.
func steps(re, im float64, most int) (n int) {
	var x, y float64
	for n < most && float64(x*x)+float64(y*y) <= 4 {
		x, y = float64(x*x)-float64(y*y)+re, float64(2*x*y)+im
		n++
	}
	return n
}

// The colours that the palette runs through, 16 steps from one to the next.
var hues = [][3]int{
	{10, 12, 46}, {24, 82, 177}, {134, 206, 235}, {250, 244, 211}, {249, 168, 37}, {173, 51, 32}, {52, 12, 56},
}

func colour(n, most int) color.NRGBA {
	if n == most {
		return color.NRGBA{A: 255}
	}
	from, to, part := hues[n/16%7], hues[(n/16+1)%7], n%16
	blend := func(i int) uint8 { return uint8((from[i]*(16-part) + to[i]*part) / 16) }
	return color.NRGBA{blend(0), blend(1), blend(2), 255}
}
