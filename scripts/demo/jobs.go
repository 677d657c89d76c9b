package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
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
			check: func(result []byte) (string, error) {
				return fmt.Sprintf("%d primes up to 10⁹", truth.Primes[most]), truth.CheckNumber(result, "count", truth.Primes[most])
			},
		},
		{
			name: "mandelbrot", wanted: client.NewJob{Program: "mandelbrot", Params: encode(view)},
			check: func(result []byte) (string, error) {
				said := fmt.Sprintf("%d × %d pixels, the same as drawn natively; see %s", view.Width, view.Height, picture)
				return said, errors.Join(os.WriteFile(picture, result, 0o600), truth.CheckPicture(result, view))
			},
		},
		{
			name: "wordcount", wanted: client.NewJob{Program: "wordcount", Input: client.Input{Upload: upload}},
			check: func(result []byte) (string, error) {
				total, err := truth.CheckWords(result, text)
				return fmt.Sprintf("%d words in %.1f MB of our own sources, as tr | sort | uniq -c counts them", total, float64(len(text))/1e6), err
			},
		},
		{
			name: "square", wanted: client.NewJob{Program: "square", Params: object("numbers", numbers)},
			check: func(result []byte) (string, error) {
				return fmt.Sprintf("%d squares, in order", len(numbers)), truth.CheckSquares(result, numbers)
			},
		},
		{
			name: "nqueens", wanted: client.NewJob{Program: "nqueens", Params: object("n", queens)},
			check: func(result []byte) (string, error) {
				return fmt.Sprintf("%d ways to place 12 queens", truth.Queens[queens]), truth.CheckNumber(result, "solutions", truth.Queens[queens])
			},
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
