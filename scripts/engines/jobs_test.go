package engines

import (
	"fmt"
	"strings"
	"testing"

	"potluck/client"
	"potluck/scripts/truth"
	"potluck/tasks"
	"potluck/tasks/picture"
)

// A job is a small one, with what its result must be.
type job struct {
	program, params, input string // a program's name, or its module
	check                  func(result []byte) error
}

var (
	view = truth.Picture{Width: 130, Height: 90, Center: [2]float64{-0.5, 0}, Zoom: 1, Iterations: 200}
	text = strings.Repeat("one two, two three three three\n", 100)
)

// builtins are jobs of all programs of the catalogue.
var builtins = []job{
	{"square", `{"numbers":[3,-4,5]}`, "", func(r []byte) error { return truth.CheckSquares(r, []int64{3, -4, 5}) }},
	{"primes", `{"to":1000000}`, "", func(r []byte) error { return truth.CheckNumber(r, "count", truth.Primes[1_000_000]) }},
	{"nqueens", `{"n":6}`, "", func(r []byte) error { return truth.CheckNumber(r, "solutions", truth.Queens[6]) }},
	{"mandelbrot", `{"width":130,"height":90,"center":[-0.5,0],"zoom":1,"iterations":200}`, "", func(r []byte) error { return truth.CheckPicture(r, view) }},
	{"wordcount", "", text, func(r []byte) error { _, err := truth.CheckWords(r, []byte(text)); return err }},
	{"pi", `{"samples":1000000}`, "", contains(`"pi":3.1`)},
	{"sleeper", `{"tasks":3,"work":1}`, "", contains(`"steps":`)},
	{"weather", `{"members":2,"columns":32,"days":1}`, "", described("Ensemble forecast for day 1, from 2 of 2 members.")},
	{"lorenz96", `{"starts":4,"length":50}`, "", described("F = 8")},
}

func contains(want string) func([]byte) error {
	return func(result []byte) error {
		if !strings.Contains(string(result), want) {
			return fmt.Errorf("there is no %s in %.200q", want, result)
		}
		return nil
	}
}

func described(want string) func([]byte) error {
	return func(result []byte) error { return contains(want)([]byte(picture.Description(result))) }
}

// TestBuiltinsAreComplete demands a job for each program of the catalogue.
func TestBuiltinsAreComplete(t *testing.T) {
	all, err := tasks.Catalogue()
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range all {
		found := false
		for _, j := range builtins {
			found = found || j.program == p.Name
		}
		if !found {
			t.Errorf("program %d, %s, is not computed by machines of all kinds", i, p.Name)
		}
	}
}

func (j job) submission() client.NewJob {
	n := client.NewJob{Program: j.program, Policy: "strict:3", Input: client.Input{Text: j.input}}
	if j.params != "" {
		n.Params = []byte(j.params)
	}
	return n
}
