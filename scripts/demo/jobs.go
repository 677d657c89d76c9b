package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"potluck/client"
	"potluck/scripts/localgrid"
	"potluck/scripts/truth"
)

// jobs are the five jobs and what must come of them.
func jobs(ctx context.Context, g *localgrid.Grid, picture string) ([]*demoJob, error) {
	text, err := ownText()
	if err != nil {
		return nil, err
	}
	upload, err := g.Upload(ctx, text)
	if err != nil {
		return nil, err
	}
	view := truth.Picture{Width: 2048, Height: 2048, Center: [2]float64{-0.5, 0}, Zoom: 1, Iterations: 1000}
	numbers := make([]int64, 200)
	for i := range numbers {
		numbers[i] = int64(i) * int64(i) * 1_000_003
	}
	const most, queens = 1_000_000_000, 12
	return []*demoJob{
		{
			name: "primes", wanted: client.NewJob{Program: "primes", Params: object("to", most)},
			check: checkNumber("count", truth.Primes[most], "primes up to 10⁹"),
		},
		{
			name: "mandelbrot", wanted: client.NewJob{Program: "mandelbrot", Params: encode(view)},
			check: func(result []byte) (string, error) { return checkPicture(result, view, picture) },
		},
		{
			name: "wordcount", wanted: client.NewJob{Program: "wordcount", Input: client.Input{Upload: upload}},
			check: func(result []byte) (string, error) { return checkWords(result, text) },
		},
		{
			name: "square", wanted: client.NewJob{Program: "square", Params: object("numbers", numbers)},
			check: func(result []byte) (string, error) { return checkSquares(result, numbers) },
		},
		{
			name: "nqueens", wanted: client.NewJob{Program: "nqueens", Params: object("n", queens)},
			check: checkNumber("solutions", truth.Queens[queens], "ways to place 12 queens"),
		},
	}, nil
}

func encode(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain values never fail
	}
	return data
}

func object(key string, value any) []byte { return encode(map[string]any{key: value}) }

// textSize is at least how many bytes of text are counted.
const textSize = 5 << 20

// ownText is the project's own sources and docs, again and again until they
// are enough.
func ownText() ([]byte, error) {
	var once bytes.Buffer
	here := os.DirFS(".")
	err := fs.WalkDir(here, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || len(d.Name()) > 1 && strings.HasPrefix(d.Name(), ".")) {
			return filepath.SkipDir
		}
		if !slices.Contains([]string{".go", ".md", ".yaml", ".ts", ".svelte"}, filepath.Ext(path)) {
			return nil
		}
		data, err := fs.ReadFile(here, path)
		once.Write(data)
		return err
	})
	if err != nil {
		return nil, err
	}
	if once.Len() == 0 {
		return nil, errors.New("there are no sources here: run it in the project's folder")
	}
	return bytes.Repeat(once.Bytes(), textSize/once.Len()+1), nil
}

func checkNumber(key string, want uint64, what string) func([]byte) (string, error) {
	return func(result []byte) (string, error) {
		var got map[string]uint64
		if err := json.Unmarshal(result, &got); err != nil {
			return "", err
		}
		if got[key] != want {
			return "", fmt.Errorf("%s: %d, but there are %d", what, got[key], want)
		}
		return fmt.Sprintf("%d %s", want, what), nil
	}
}

// checkPicture compares with a picture drawn here, and keeps it as a file.
func checkPicture(result []byte, view truth.Picture, file string) (string, error) {
	if err := os.WriteFile(file, result, 0o600); err != nil {
		return "", err
	}
	drawn, err := png.Decode(bytes.NewReader(result))
	if err != nil {
		return "", err
	}
	got := image.NewNRGBA(drawn.Bounds())
	draw.Draw(got, got.Bounds(), drawn, image.Point{}, draw.Src)
	want := truth.Mandelbrot(view)
	if got.Bounds() != want.Bounds() || !bytes.Equal(got.Pix, want.Pix) {
		return "", errors.New("the picture differs from one that is drawn natively")
	}
	return fmt.Sprintf("%d × %d pixels, the same as drawn natively; see %s", view.Width, view.Height, file), nil
}

// checkWords compares with what the shell counts.
func checkWords(result, text []byte) (string, error) {
	want, err := truth.Words(text)
	if err != nil {
		return "", err
	}
	rows, err := csv.NewReader(bytes.NewReader(result)).ReadAll()
	if err != nil {
		return "", err
	}
	if len(rows) != len(want)+1 {
		return "", fmt.Errorf("%d different words, but the shell counts %d", len(rows)-1, len(want))
	}
	total := 0
	for i, w := range want {
		if row := rows[i+1]; row[0] != w.Word || row[1] != strconv.Itoa(w.N) {
			return "", fmt.Errorf("row %d is %v, but the shell counts %q %d times", i+1, row, w.Word, w.N)
		}
		total += w.N
	}
	return fmt.Sprintf("%d words in %.1f MB of our own sources, as tr | sort | uniq -c counts them; most often %q",
		total, float64(len(text))/1e6, want[0].Word), nil
}

func checkSquares(result []byte, numbers []int64) (string, error) {
	var got []*big.Int
	if err := json.Unmarshal(result, &got); err != nil {
		return "", err
	}
	if len(got) != len(numbers) {
		return "", fmt.Errorf("%d squares of %d numbers", len(got), len(numbers))
	}
	for i, n := range numbers {
		if want := new(big.Int).Mul(big.NewInt(n), big.NewInt(n)); got[i].Cmp(want) != 0 {
			return "", fmt.Errorf("%d² is %d, not %d", n, want, got[i])
		}
	}
	return fmt.Sprintf("%d squares, in order", len(numbers)), nil
}
