package truth

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"math/big"
	"strconv"
)

// CheckNumber checks one number of a result that is a JSON object.
func CheckNumber(result []byte, key string, want uint64) error {
	var got map[string]json.Number
	if err := json.Unmarshal(result, &got); err != nil {
		return err
	}
	if got[key] != json.Number(strconv.FormatUint(want, 10)) {
		return fmt.Errorf("%s is %s; it should be %d", key, got[key], want)
	}
	return nil
}

// CheckPicture compares a PNG of the Mandelbrot set with one that is drawn
// here, pixel by pixel.
func CheckPicture(result []byte, view Picture) error {
	drawn, err := png.Decode(bytes.NewReader(result))
	if err != nil {
		return err
	}
	got := image.NewNRGBA(drawn.Bounds())
	draw.Draw(got, got.Bounds(), drawn, image.Point{}, draw.Src)
	want := Mandelbrot(view)
	if got.Bounds() != want.Bounds() || !bytes.Equal(got.Pix, want.Pix) {
		return errors.New("the picture differs from one that is drawn natively")
	}
	return nil
}

// CheckWords compares a CSV of words with what the shell counts, and gives the
// number of words in all.
func CheckWords(result, text []byte) (total int, err error) {
	want, err := Words(text)
	if err != nil {
		return 0, err
	}
	rows, err := csv.NewReader(bytes.NewReader(result)).ReadAll()
	if err != nil {
		return 0, err
	}
	if len(rows) != len(want)+1 {
		return 0, fmt.Errorf("%d different words, but the shell counts %d", len(rows)-1, len(want))
	}
	for i, w := range want {
		if row := rows[i+1]; row[0] != w.Word || row[1] != strconv.Itoa(w.N) {
			return 0, fmt.Errorf("row %d is %v, but the shell counts %q %d times", i+1, row, w.Word, w.N)
		}
		total += w.N
	}
	return total, nil
}

// CheckSquares checks that a JSON array is the squares of the numbers, in order.
func CheckSquares(result []byte, numbers []int64) error {
	var got []*big.Int
	if err := json.Unmarshal(result, &got); err != nil {
		return err
	}
	if len(got) != len(numbers) {
		return fmt.Errorf("%d squares of %d numbers", len(got), len(numbers))
	}
	for i, n := range numbers {
		if want := new(big.Int).Mul(big.NewInt(n), big.NewInt(n)); got[i].Cmp(want) != 0 {
			return fmt.Errorf("%d² is %d, not %d", n, want, got[i])
		}
	}
	return nil
}
