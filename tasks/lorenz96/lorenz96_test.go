package main

import (
	"bytes"
	"image/png"
	"math"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"potluck/tasks/picture"
)

var standard = params{Sites: 40, Forcing: 8, Starts: 120, Length: 200, Seed: 1}

// all computes a whole job.
func all(t *testing.T, p params) (sum part) {
	t.Helper()
	batches, err := split(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range batches {
		if sum, err = join(sum, follow(b)); err != nil {
			t.Fatal(err)
		}
	}
	return sum
}

// The exponent of the standard case is published as 1.68 (see model.go), and as
// a doubling of errors in 2.1 days.
func TestPublishedExponent(t *testing.T) {
	e := exponent(all(t, standard))
	t.Logf("%.4f ± %.4f", e.mean, e.stderr())
	if e.starts != standard.Starts || math.Abs(e.mean-1.68) > 0.02 || e.stderr() > 0.01 {
		t.Errorf("%+v ± %.4f", e, e.stderr())
	}
	if days := math.Ln2 / e.mean * daysPerUnit; math.Abs(days-2.1) > 0.06 {
		t.Errorf("errors double in %.2f days", days)
	}
}

// Without chaos the exponent is known: all x = F is steady, the equations
// linearised there are a circulant matrix, and its eigenvalues for waves of
// angle θ have the real part F·(cos θ − cos 2θ) − 1.
func TestSteadyExponent(t *testing.T) {
	for _, force := range []float64{0, 0.3, 0.8} {
		p := params{Sites: 40, Forcing: force, Starts: 3, Length: 1000, Seed: 5}
		want := math.Inf(-1)
		for k := range p.Sites {
			angle := 2 * math.Pi * float64(k) / float64(p.Sites)
			want = max(want, force*(math.Cos(angle)-math.Cos(2*angle))-1)
		}
		if e := exponent(all(t, p)); math.Abs(e.mean-want) > 1e-3 {
			t.Errorf("forcing %g: %.5f instead of %.5f", force, e.mean, want)
		}
	}
}

// A step is what the equations say: plain code with a tenth of the step, which
// shares nothing with the model, comes to the same.
func TestAgainstPlainCode(t *testing.T) {
	r := begin(standard, 0)
	x := append([]float64{}, r.x[2:2+r.n]...)
	rate := func(x []float64) []float64 {
		out := make([]float64, len(x))
		for i := range x {
			at := func(k int) float64 { return x[(i+k+len(x))%len(x)] }
			out[i] = (at(1)-at(-2))*at(-1) - at(0) + 8
		}
		return out
	}
	moved := func(x, by []float64, c float64) []float64 {
		out := make([]float64, len(x))
		for i := range x {
			out[i] = x[i] + c*by[i]
		}
		return out
	}
	const dt = 1.0 / stepsPerUnit / 10
	for range 10 * stepsPerUnit / 2 {
		k1 := rate(x)
		k2 := rate(moved(x, k1, dt/2))
		k3 := rate(moved(x, k2, dt/2))
		k4 := rate(moved(x, k3, dt))
		for i := range x {
			x[i] += dt / 6 * (k1[i] + 2*k2[i] + 2*k3[i] + k4[i])
		}
	}
	for range stepsPerUnit / 2 {
		r.step()
	}
	for i, want := range x {
		if math.Abs(r.x[2+i]-want) > 1e-3 {
			t.Errorf("site %d: %g instead of %g", i, r.x[2+i], want)
		}
	}
}

// anyPart draws a part of some trajectories, with or without the first.
func anyPart(t *rapid.T, name string) (p part) {
	for range rapid.IntRange(0, 2).Draw(t, name+" starts") {
		p.curves = append(p.curves, rapid.SliceOfN(rapid.Int64Range(-1e7, 1e7), curvePoints, curvePoints).Draw(t, name)...)
	}
	if rapid.Bool().Draw(t, name+" has twins") {
		p.twins = make([]int64, 2*twinTimes)
		p.twins[7] = rapid.Int64().Draw(t, name)
	}
	return p
}

func bytesOf(t *rapid.T, p part) []byte {
	data, err := p.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A property that fails is reported with the seed that shows it again.
func TestJoinIsAssociative(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := anyPart(t, "a"), anyPart(t, "b"), anyPart(t, "c")
		ab, _ := join(a, b)
		bc, _ := join(b, c)
		l, _ := join(ab, c)
		r, _ := join(a, bc)
		data := bytesOf(t, l)
		if !bytes.Equal(data, bytesOf(t, r)) {
			t.Fatalf("%v\n%v", l, r)
		}
		var got part
		if err := got.UnmarshalBinary(data); err != nil || !reflect.DeepEqual(concat(got.curves, got.twins), concat(l.curves, l.twins)) {
			t.Fatalf("travelled badly: %v", err)
		}
		_ = got.UnmarshalBinary(data[:rapid.IntRange(0, len(data)-1).Draw(t, "cut")]) // must not panic,
		_ = got.UnmarshalBinary(rapid.SliceOf(rapid.Byte()).Draw(t, "noise"))         // nor must this
	})
}

// Trajectories are the same, whichever are computed together.
func TestGroupingDoesNotMatter(t *testing.T) {
	p := params{Sites: 12, Forcing: 8, Starts: 6, Length: 50, Seed: 9}
	together := follow(batch{0, 6, p})
	apart := part{}
	for _, b := range []batch{{0, 1, p}, {1, 3, p}, {4, 2, p}} {
		apart, _ = join(apart, follow(b))
	}
	if !reflect.DeepEqual(together, apart) {
		t.Error("another grouping gives another result")
	}
}

// There is a picture of any part of a job: none of it, without the first
// trajectory, one, some.
func TestRender(t *testing.T) {
	p := params{Sites: 8, Forcing: 8, Starts: 5, Length: 50, Seed: 2}
	for name, c := range map[string]struct {
		part part
		says string
	}{
		"nothing":   {part{}, "from 0 of 5"},
		"the first": {follow(batch{0, 1, p}), "from 1 of 5"},
		"others":    {follow(batch{1, 2, p}), "from 2 of 5"},
		"all":       {follow(batch{0, 5, p}), " ± "},
	} {
		file, err := render(p, c.part)
		if err != nil {
			t.Fatal(name, err)
		}
		if _, err := png.Decode(bytes.NewReader(file)); err != nil {
			t.Error(name, err)
		}
		if text := picture.Description(file); !strings.Contains(text, c.says) {
			t.Errorf("%s: %s", name, text)
		}
	}
}
