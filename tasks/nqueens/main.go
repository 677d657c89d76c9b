// Command nqueens counts the ways to put n queens on an n × n board so that
// none attacks another (OEIS A000170). A task fixes the queens of the first
// rows and counts all that can follow.
package main

import (
	"encoding/json"

	"potluck/tasks/mapreduce"
)

type params struct {
	N int `json:"n" title:"Queens" doc:"How many queens, on a board as wide. Each one more takes about eight times as long." min:"1" max:"20"`
}

// A board is a partly filled one as bit sets of columns: those taken, and those
// attacked along either diagonal in the next row.
type board struct {
	N                    int
	Columns, Left, Right uint32
}

// fixedRows makes tasks of a fraction of a second up to n = 18, and never none:
// on a board of 2 or 3 the second row may have no place left.
func fixedRows(n int) int { return max(1, n/6) }

func main() {
	mapreduce.Main(mapreduce.Program[params, board, uint64]{
		Name: "nqueens", Title: "n queens",
		Summary:  "Counts the ways to place n queens on a board so that none attacks another.",
		Result:   "application/json",
		Defaults: params{N: 12},
		Examples: []params{{N: 8}, {N: 16}},
		Split: func(p params) ([]board, error) {
			return prefixes(nil, board{N: p.N}, fixedRows(p.N)), nil
		},
		Map:    func(b board) (uint64, error) { return count(1<<b.N-1, b.Columns, b.Left, b.Right), nil },
		Reduce: func(a, b uint64) (uint64, error) { return a + b, nil },
		Render: render,
	})
}

// prefixes appends every way to fill so many more rows.
func prefixes(all []board, b board, rows int) []board {
	if rows == 0 {
		return append(all, b)
	}
	for free := uint32(1<<b.N-1) &^ (b.Columns | b.Left | b.Right); free != 0; free &= free - 1 {
		q := free & -free
		all = prefixes(all, board{b.N, b.Columns | q, (b.Left | q) << 1, (b.Right | q) >> 1}, rows-1)
	}
	return all
}

// count counts the ways to fill the remaining rows.
func count(full, columns, left, right uint32) (n uint64) {
	if columns == full {
		return 1
	}
	for free := full &^ (columns | left | right); free != 0; free &= free - 1 {
		q := free & -free
		n += count(full, columns|q, (left|q)<<1, (right|q)>>1)
	}
	return n
}

func render(p params, n uint64) ([]byte, error) {
	return json.Marshal(struct {
		N         int    `json:"n"`
		Solutions uint64 `json:"solutions"`
	}{p.N, n})
}
