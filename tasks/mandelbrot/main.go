// Command mandelbrot draws the Mandelbrot set, one tile of the picture a task.
//
// The iteration z → z² + c uses only sums and products, each rounded on its
// own, and the palette only integers: every machine gives the same pixels.
package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/png"

	"potluck/tasks/mapreduce"
)

type params struct {
	Width      int        `json:"width" title:"Width" doc:"Width of the picture in pixels." min:"1" max:"16384"`
	Height     int        `json:"height" title:"Height" doc:"Height of the picture in pixels." min:"1" max:"16384"`
	Center     [2]float64 `json:"center" title:"Centre" doc:"The point in the middle: real and imaginary part." min:"-4" max:"4"`
	Zoom       float64    `json:"zoom" title:"Zoom" doc:"1 shows 4 units over the shorter side; 2 shows half of that." min:"0.1" max:"10000000000000"`
	Iterations int        `json:"iterations" title:"Iterations" doc:"Steps until a point counts as inside the set." min:"1" max:"65535"`
}

// maxPixels bounds the picture that render has to hold.
const maxPixels = 64 << 20

const tileSize = 256

// A tile is one task: a rectangle of the picture and how to compute it.
type tile struct {
	X, Y, W, H int
	Params     params
}

func main() {
	mapreduce.Main(mapreduce.Program[params, tile, []byte]{
		Name: "mandelbrot", Title: "Mandelbrot set",
		Summary:  "Draws a part of the Mandelbrot set, tile by tile, as deep as you like to zoom.",
		Result:   "image/png",
		Defaults: params{Width: 2048, Height: 2048, Center: [2]float64{-0.5, 0}, Zoom: 1, Iterations: 1000},
		Examples: []params{
			{Width: 1024, Height: 1024, Center: [2]float64{-0.743643887, 0.131825904}, Zoom: 5000, Iterations: 2000},
			{Width: 1024, Height: 1024, Center: [2]float64{0.275, 0.007}, Zoom: 200, Iterations: 1500},
		},
		Check:  check,
		Split:  split,
		Map:    compute,
		Render: render,
	})
}

func check(p params) error {
	if p.Width*p.Height > maxPixels {
		return errors.New("the picture has more than 64 million pixels: make it smaller")
	}
	return nil
}

func split(p params) (tiles []tile, _ error) {
	for y := 0; y < p.Height; y += tileSize {
		for x := 0; x < p.Width; x += tileSize {
			tiles = append(tiles, tile{x, y, min(tileSize, p.Width-x), min(tileSize, p.Height-y), p})
		}
	}
	return tiles, nil
}

// compute gives a tile as its place and size (4 × uint32) and the number of
// iterations of each pixel, row by row (uint16), all little endian. Such parts
// stand one after the other in the part that render gets.
func compute(t tile) ([]byte, error) {
	out := make([]byte, 0, 16+2*t.W*t.H)
	for _, v := range []int{t.X, t.Y, t.W, t.H} {
		out = binary.LittleEndian.AppendUint32(out, uint32(v))
	}
	for y := range t.H {
		for x := range t.W {
			re, im := t.Params.point(t.X+x, t.Y+y)
			out = binary.LittleEndian.AppendUint16(out, uint16(escape(re, im, t.Params.Iterations)))
		}
	}
	return out, nil
}

// point is the middle of a pixel in the plane.
func (p *params) point(x, y int) (re, im float64) {
	step := 4 / p.Zoom / float64(min(p.Width, p.Height))
	re = p.Center[0] + float64((float64(x)+0.5-float64(p.Width)/2)*step)
	im = p.Center[1] - float64((float64(y)+0.5-float64(p.Height)/2)*step)
	return re, im
}

// escape counts the iterations until |z| > 2, or gives limit. The conversions
// keep the compiler from fusing a product into a sum, which rounds differently.
func escape(re, im float64, limit int) int {
	x, y := 0.0, 0.0
	for n := range limit {
		xx, yy := float64(x*x), float64(y*y)
		if xx+yy > 4 {
			return n
		}
		y = float64(2*x*y) + im
		x = xx - yy + re
	}
	return limit
}

// render paints the tiles that are there; the others stay transparent. A pixel is
// one byte: the largest picture, its tiles and its file fit together into the
// memory of a small grid.
func render(p params, part []byte) ([]byte, error) {
	img := image.NewPaletted(image.Rect(0, 0, p.Width, p.Height), palette())
	for len(part) > 0 {
		t, rest, err := readTile(part, p)
		if err != nil {
			return nil, err
		}
		for y := range t.H {
			row := img.Pix[img.PixOffset(t.X, t.Y+y):]
			for x := range t.W {
				row[x] = colour(int(binary.LittleEndian.Uint16(part[16+2*(y*t.W+x):])), p.Iterations)
			}
		}
		part = rest
	}
	var out bytes.Buffer
	err := (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&out, img)
	return out.Bytes(), err
}

func readTile(part []byte, p params) (t tile, rest []byte, err error) {
	if len(part) < 16 {
		return t, nil, errors.New("a tile is cut short")
	}
	at := func(i int) int { return int(binary.LittleEndian.Uint32(part[4*i:])) }
	t = tile{X: at(0), Y: at(1), W: at(2), H: at(3)}
	if t.X+t.W > p.Width || t.Y+t.H > p.Height || len(part) < 16+2*t.W*t.H {
		return t, nil, errors.New("a tile is not of this picture")
	}
	return t, part[16+2*t.W*t.H:], nil
}

// The palette runs through these colours again and again; the set itself is
// black.
var stops = []color.NRGBA{
	{10, 12, 46, 255},
	{24, 82, 177, 255},
	{134, 206, 235, 255},
	{250, 244, 211, 255},
	{249, 168, 37, 255},
	{173, 51, 32, 255},
	{52, 12, 56, 255},
}

const stepsBetween = 16 // iterations from one colour to the next

// The first colours of the palette: of what is missing, of the set, and of points
// outside that it takes no iteration to tell.
const (
	missing = iota
	inside
	outside
)

func palette() color.Palette {
	all := color.Palette{missing: color.NRGBA{}, inside: color.NRGBA{A: 255}}
	for n := range stepsBetween * len(stops) {
		a, b := stops[n/stepsBetween], stops[(n/stepsBetween+1)%len(stops)]
		all = append(all, color.NRGBA{mix(a.R, b.R, n), mix(a.G, b.G, n), mix(a.B, b.B, n), 255})
	}
	return all
}

// colour is where in the palette the colour of a number of iterations is.
func colour(n, limit int) uint8 {
	if n >= limit {
		return inside
	}
	return uint8(outside + n%(stepsBetween*len(stops)))
}

func mix(a, b uint8, n int) uint8 {
	t := n % stepsBetween
	return uint8((int(a)*(stepsBetween-t) + int(b)*t) / stepsBetween)
}
