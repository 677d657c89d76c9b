// Package picture draws the results of programs: maps, curves and bars with
// axes and legends, as PNG, on the standard image packages and golang.org/x/image.
// Everything is computed by the same sums on every machine.
package picture

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// Colours that pictures share: a dark ground looks well on a light page and on a
// dark one.
var (
	Ground = color.RGBA{15, 20, 32, 255}
	Panel  = color.RGBA{22, 29, 45, 255}
	Grid   = color.RGBA{48, 58, 80, 255}
	Faint  = color.RGBA{146, 158, 182, 255}
	Text   = color.RGBA{232, 236, 244, 255}
)

// Sizes of text, in pixels.
const (
	Small  = 17
	Medium = 20
	Large  = 32
)

// A Canvas is a picture in the making.
type Canvas struct {
	img   *image.RGBA
	font  *opentype.Font
	faces map[int]font.Face
}

// New makes an empty canvas.
func New(width, height int) (*Canvas, error) {
	f, err := opentype.Parse(goregular.TTF)
	if err != nil {
		return nil, err
	}
	c := &Canvas{image.NewRGBA(image.Rect(0, 0, width, height)), f, map[int]font.Face{}}
	c.Fill(c.img.Rect, Ground)
	return c, nil
}

// Fill fills a rectangle.
func (c *Canvas) Fill(r image.Rectangle, ink color.RGBA) {
	draw.Draw(c.img, r, image.NewUniform(ink), image.Point{}, draw.Src)
}

// Blend puts ink over a pixel, as much of it as cover says: 0 to 1.
func (c *Canvas) Blend(x, y int, ink color.RGBA, cover float64) {
	if cover <= 0 || !(image.Point{x, y}).In(c.img.Rect) {
		return
	}
	k := int32(min(cover, 1) * 256)
	pix := c.img.Pix[c.img.PixOffset(x, y):][:3]
	for i, v := range [3]uint8{ink.R, ink.G, ink.B} {
		pix[i] = uint8(int32(pix[i]) + (int32(v)-int32(pix[i]))*k/256)
	}
}

// Align says which part of a text stands at its point.
type Align int

// The ways to align.
const (
	Left Align = iota
	Centre
	Right
)

// Write writes text with its baseline at y.
func (c *Canvas) Write(x, y, size int, align Align, ink color.Color, text string) error {
	face := c.faces[size]
	if face == nil {
		var err error
		face, err = opentype.NewFace(c.font, &opentype.FaceOptions{Size: float64(size), DPI: 72, Hinting: font.HintingVertical})
		if err != nil {
			return err
		}
		c.faces[size] = face
	}
	d := font.Drawer{Dst: c.img, Src: image.NewUniform(ink), Face: face}
	x -= d.MeasureString(text).Round() * int(align) / 2
	d.Dot = fixed.P(x, y)
	d.DrawString(text)
	return nil
}

// Disc draws a filled circle with a dark rim.
func (c *Canvas) Disc(x, y, radius float64, ink color.RGBA) {
	reach := int(radius) + 3
	for py := int(y) - reach; py <= int(y)+reach; py++ {
		for px := int(x) - reach; px <= int(x)+reach; px++ {
			far := math.Hypot(float64(px)-x, float64(py)-y)
			c.Blend(px, py, Ground, radius+2.5-far)
			c.Blend(px, py, ink, radius+0.5-far)
		}
	}
}

// PNG encodes the picture. The description goes into the file, for those who
// cannot see it and for programs.
func (c *Canvas) PNG(description string) ([]byte, error) {
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&out, c.img); err != nil {
		return nil, err
	}
	const header = 8 + 25 // the signature and the IHDR chunk
	data := out.Bytes()
	described := append([]byte{}, data[:header]...)
	described = append(described, chunk("iTXt", "Description\x00\x00\x00\x00\x00"+description)...)
	return append(described, data[header:]...), nil
}

// chunk is a chunk of a PNG file: length, kind, data, checksum.
func chunk(kind, data string) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	out = append(append(out, kind...), data...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[4:]))
}

// Description reads the description out of a PNG that [Canvas.PNG] wrote.
func Description(file []byte) string {
	for at := 8; at+12 <= len(file); {
		n := int(binary.BigEndian.Uint32(file[at:]))
		if n > len(file)-at-12 {
			break
		}
		if text, found := bytes.CutPrefix(file[at+4:at+8+n], []byte("iTXtDescription\x00\x00\x00\x00\x00")); found {
			return string(text)
		}
		at += 12 + n
	}
	return ""
}
