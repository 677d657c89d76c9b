package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"potluck/scripts/truth"
	"potluck/tasks/picture"
)

// local runs a whole job with potluck run.
func local(t *testing.T, program, params, input string) []byte {
	t.Helper()
	args := []string{"run", program, "--quiet"}
	if params != "" {
		args = append(args, "--params", params)
	}
	if input != "" {
		args = append(args, "--input", "-")
	}
	c := exec.CommandContext(t.Context(), filepath.Join(bin, "potluck"), args...)
	c.Env = append(os.Environ(), "POTLUCK_CACHE="+cache)
	c.Stdin = strings.NewReader(input)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("potluck %v: %v\n%s", args, err, stderr.Bytes())
	}
	return out
}

func encode(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain values never fail
	}
	return string(data)
}

func TestPrimes(t *testing.T) {
	for to, want := range truth.Primes {
		if to > 100_000_000 {
			continue // the demo counts more
		}
		if err := truth.CheckNumber(local(t, "primes", fmt.Sprintf(`{"to":%d}`, to), ""), "count", want); err != nil {
			t.Errorf("up to %d: %v", to, err)
		}
	}
	// The edges of a range count, wherever it lies.
	for span, want := range map[[2]int]uint64{{0, 0}: 0, {0, 2}: 1, {2, 2}: 1, {7, 7}: 1, {8, 8}: 0, {9_999_991, 9_999_991}: 1, {10_000_000, 10_000_019}: 1, {9_999_999_967, 10_000_000_019}: 2} {
		result := local(t, "primes", fmt.Sprintf(`{"from":%d,"to":%d}`, span[0], span[1]), "")
		if err := truth.CheckNumber(result, "count", want); err != nil {
			t.Errorf("from %d to %d: %v", span[0], span[1], err)
		}
	}
}

func TestQueens(t *testing.T) {
	for n, want := range truth.Queens {
		if n > 15 {
			continue // it takes as long as all the others
		}
		if err := truth.CheckNumber(local(t, "nqueens", fmt.Sprintf(`{"n":%d}`, n), ""), "solutions", want); err != nil {
			t.Errorf("%d queens: %v", n, err)
		}
	}
}

func TestMandelbrot(t *testing.T) {
	for _, view := range []truth.Picture{
		{Width: 1, Height: 1, Zoom: 1, Iterations: 1},
		{Width: 700, Height: 300, Center: [2]float64{-0.5, 0}, Zoom: 1, Iterations: 1000},
		{Width: 257, Height: 511, Center: [2]float64{-0.743643887, 0.131825904}, Zoom: 5000, Iterations: 2000},
		{Width: 512, Height: 512, Center: [2]float64{0.275, 0.007}, Zoom: 1e13, Iterations: 60_000},
	} {
		if err := truth.CheckPicture(local(t, "mandelbrot", encode(view), ""), view); err != nil {
			t.Errorf("%+v: %v", view, err)
		}
	}
}

func TestWordcount(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	letters := []rune("aAbBzZ019éß漢 .,-\n\t\"'\x00")
	var text strings.Builder
	for range 200_000 {
		text.WriteRune(letters[r.IntN(len(letters))])
	}
	for name, text := range map[string]string{
		"random":      text.String(),
		"one word":    "word",
		"no words":    " .\n",
		"long line":   strings.Repeat("It was the best of times, it was the worst of times. ", 1000),
		"not UTF-8":   "\xff\xfe a\x80b \xff\xfe",
		"windows":     "one\r\ntwo\r\none\r\n",
		"many chunks": strings.Repeat("The quick brown fox\njumps over the lazy dog\n", 5000),
	} {
		result := local(t, "wordcount", "", text)
		if _, err := truth.CheckWords(result, []byte(text)); err != nil {
			t.Errorf("%s (seed %d): %v", name, seed, err)
		}
	}
	if top := local(t, "wordcount", `{"top":2}`, "c b c a b c"); string(top) != "word,count\nc,3\nb,2\n" {
		t.Errorf("the first two: %q", top)
	}
}

func TestSquare(t *testing.T) {
	numbers := make([]int64, 1000)
	for i := range numbers {
		numbers[i] = int64(i*i*i) - 1000
	}
	if err := truth.CheckSquares(local(t, "square", encode(map[string]any{"numbers": numbers}), ""), numbers); err != nil {
		t.Error(err)
	}
	got := local(t, "square", `{"numbers":[123456789012345678901234567890, 1.5, -2, 1e100]}`, "")
	if want := `[15241578753238836750495351562536198787501905199875019052100,2.25,4,1e+200]`; string(bytes.TrimSpace(got)) != want {
		t.Errorf("squares: %s", got)
	}
}

// The estimate is as far off as its standard error says, over many seeds.
func TestPi(t *testing.T) {
	var chi2 float64
	const seeds = 12
	for seed := range seeds {
		var got struct{ Pi, Stderr float64 }
		if err := json.Unmarshal(local(t, "pi", fmt.Sprintf(`{"samples":20000000,"seed":%d}`, seed), ""), &got); err != nil {
			t.Fatal(err)
		}
		if want := 4 * math.Sqrt(math.Pi/4*(1-math.Pi/4)/20e6); math.Abs(got.Stderr-want) > want/100 {
			t.Errorf("seed %d: the standard error is %g, not %g", seed, got.Stderr, want)
		}
		off := (got.Pi - math.Pi) / got.Stderr
		chi2 += off * off
	}
	// The 0.001 and 0.999 quantiles of χ² with 12 degrees of freedom. The seeds
	// are fixed, so this holds always or never.
	if chi2 < 2.21 || chi2 > 32.9 {
		t.Errorf("χ² is %g", chi2)
	}
}

func TestSleeper(t *testing.T) {
	var got []struct {
		Task       int
		Volunteers []struct {
			ID string
			MS int
		}
		Output struct {
			Steps uint64
			Check uint64 `json:",string"`
		}
	}
	if err := json.Unmarshal(local(t, "sleeper", `{"tasks":10,"work":3}`, ""), &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 10 {
		t.Errorf("%d tasks", len(got))
	}
	for i, task := range got {
		// a full-period generator modulo 2⁶⁴ in closed form: x ↦ ax + c, n times
		want := iterate(task.Output.Steps)
		if task.Task != i || len(task.Volunteers) != 1 || task.Output.Check != want || task.Output.Steps > 3_000_000 {
			t.Errorf("task %d: %+v, the check should be %d", i, task, want)
		}
	}
}

// iterate makes n steps of the generator in log n, by squaring the step.
func iterate(n uint64) uint64 {
	a, c := uint64(6364136223846793005), uint64(1442695040888963407)
	x := uint64(1)
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			x = a*x + c
		}
		a, c = a*a, (a+1)*c
	}
	return x
}

// A forecast is the same picture, whichever members are computed together. What
// it rests on is tested in tasks/weather.
func TestWeather(t *testing.T) {
	const p = `{"members":5,"columns":32,"days":1,"batch":%d}`
	one, three := local(t, "weather", fmt.Sprintf(p, 1), ""), local(t, "weather", fmt.Sprintf(p, 3), "")
	if !bytes.Equal(one, three) {
		t.Error("three members at a time give another picture")
	}
	if text := picture.Description(one); text != "Ensemble forecast for day 1, from 5 of 5 members." {
		t.Errorf("the picture is described as %q", text)
	}
}

// The exponent is the published one.
func TestLorenz96(t *testing.T) {
	text := picture.Description(local(t, "lorenz96", `{"starts":60}`, ""))
	_, value, _ := strings.Cut(text, "F = 8: ")
	var exponent, stderr float64
	if _, err := fmt.Sscanf(value, "%f ± %f", &exponent, &stderr); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	if math.Abs(exponent-1.68) > 0.03 || stderr > 0.015 {
		t.Errorf("the exponent is %g ± %g; 1.68 is published", exponent, stderr)
	}
}
