// Command square is the tutorial program: numbers in, their squares out, in
// order, one task a number.
package main

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"

	"potluck/tasks/mapreduce"
)

type params struct {
	Numbers []json.Number `json:"numbers" title:"Numbers" doc:"The numbers to square. Whole numbers of any size are squared exactly." minlen:"1" maxlen:"100000"`
}

func main() {
	mapreduce.Main(mapreduce.Program[params, json.Number, []json.Number]{
		Name: "square", Title: "Squares",
		Summary:  "Squares each number of a list. The smallest job there is: copy it to write your own.",
		Result:   "application/json",
		Defaults: params{Numbers: []json.Number{"1", "2", "3"}},
		Check:    check,
		Split:    func(p params) ([]json.Number, error) { return p.Numbers, nil },
		Map:      square,
		Reduce:   func(a, b []json.Number) ([]json.Number, error) { return append(a, b...), nil },
	})
}

func check(p params) error {
	for _, n := range p.Numbers {
		if _, err := square(n); err != nil {
			return err
		}
	}
	return nil
}

func square(n json.Number) ([]json.Number, error) {
	if whole, ok := new(big.Int).SetString(n.String(), 10); ok {
		return []json.Number{json.Number(whole.Mul(whole, whole).String())}, nil
	}
	f, err := n.Float64()
	if err != nil || math.IsInf(f*f, 0) {
		return nil, fmt.Errorf("the square of %s is too large for a 64-bit float", n)
	}
	return []json.Number{json.Number(strconv.FormatFloat(f*f, 'g', -1, 64))}, nil
}
