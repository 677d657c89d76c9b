package picture

import "image/color"

// A Scale is a sequence of colours for values from 0 to 1.
type Scale []color.RGBA

// Scales. Equal steps of a value look equally large in each, also to people
// who do not see all colours.
var (
	// Berlin diverges from a dark middle: Crameri, "Scientific colour maps",
	// Zenodo (2018), doi:10.5281/zenodo.1243862.
	Berlin = scale(0x9eb0ff, 0x5ba4da, 0x2d7597, 0x1a4256, 0x11191e, 0x280d01, 0x501803, 0x8a3f2a, 0xc4756a, 0xffacac)
	// Inferno rises from black: Smith and van der Walt for matplotlib (2015).
	Inferno = scale(0x000004, 0x1b0c41, 0x4a0c6b, 0x781c6d, 0xa52c60, 0xcf4446, 0xed6925, 0xfb9b06, 0xf7d13d, 0xfcffa4)
	// Viridis, by the same.
	Viridis = scale(0x440154, 0x482878, 0x3e4989, 0x31688e, 0x26828e, 0x1f9e89, 0x35b779, 0x6ece58, 0xb5de2b, 0xfde725)
)

func scale(hex ...uint32) (s Scale) {
	for _, v := range hex {
		s = append(s, color.RGBA{uint8(v >> 16), uint8(v >> 8), uint8(v), 255})
	}
	return s
}

// At is the colour of a value; one beyond the ends has that of the end.
func (s Scale) At(v float64) color.RGBA {
	v = max(0, min(v, 1)) * float64(len(s)-1)
	i := min(int(v), len(s)-2)
	t := int(256 * (v - float64(i)))
	mix := func(a, b uint8) uint8 { return uint8((int(a)*(256-t) + int(b)*t) / 256) }
	a, b := s[i], s[i+1]
	return color.RGBA{mix(a.R, b.R), mix(a.G, b.G), mix(a.B, b.B), 255}
}

// table is the scale in fine steps: maps look colours up.
func (s Scale) table() (t [1024]color.RGBA) {
	for i := range t {
		t[i] = s.At(float64(i) / float64(len(t)-1))
	}
	return t
}
