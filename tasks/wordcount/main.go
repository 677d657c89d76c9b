// Command wordcount counts the words of a text: the classic of MapReduce.
//
// A word is a run of ASCII letters and digits and of bytes from 0x80 on, so
// that words of any language in UTF-8 hold together; ASCII capitals count as
// small letters. In a shell, under LC_ALL=C:
//
//	tr -cs 'A-Za-z0-9\200-\377' '\n' | tr A-Z a-z | sort | uniq -c
package main

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"maps"
	"slices"
	"strconv"

	"potluck/tasks/mapreduce"
)

type params struct {
	Top int `json:"top" title:"Rows" doc:"How many words to list, the most frequent first; 0 lists them all." min:"0"`
}

type counts map[string]int

// MarshalBinary writes a line "count word" for each word, sorted, so that
// replicas agree. JSON would not do: its strings are UTF-8, and words need not be.
func (c counts) MarshalBinary() (out []byte, _ error) { //nolint:unparam // the interface has it
	for _, word := range slices.Sorted(maps.Keys(c)) {
		out = strconv.AppendInt(out, int64(c[word]), 10)
		out = append(append(append(out, ' '), word...), '\n')
	}
	return out, nil
}

// UnmarshalBinary reads what MarshalBinary wrote.
func (c *counts) UnmarshalBinary(lines []byte) error {
	*c = counts{}
	for line := range bytes.Lines(lines) {
		number, word, _ := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
		n, err := strconv.Atoi(string(number))
		if err != nil {
			return err
		}
		(*c)[string(word)] = n
	}
	return nil
}

func main() {
	mapreduce.Main(mapreduce.Program[params, []byte, counts]{
		Name: "wordcount", Title: "Count words",
		Summary: "Counts how often each word stands in a text of any size.",
		Result:  "text/csv",
		Input:   "lines:2000",
		Map:     func(text []byte) (counts, error) { return count(text), nil },
		Reduce:  merge,
		Render:  render,
	})
}

func count(text []byte) counts {
	n := counts{}
	for len(text) > 0 {
		end := 0
		for end < len(text) && isWord(text[end]) {
			text[end] = lower(text[end])
			end++
		}
		if end > 0 {
			n[string(text[:end])]++
		}
		text = text[min(end+1, len(text)):]
	}
	return n
}

func isWord(b byte) bool {
	return b >= 0x80 || b >= '0' && b <= '9' || lower(b) >= 'a' && lower(b) <= 'z'
}

func lower(b byte) byte {
	if b >= 'A' && b <= 'Z' {
		return b + 'a' - 'A'
	}
	return b
}

func merge(a, b counts) (counts, error) {
	for word, n := range b {
		a[word] += n
	}
	return a, nil
}

func render(p params, n counts) ([]byte, error) {
	words := slices.SortedFunc(maps.Keys(n), func(a, b string) int {
		return cmp.Or(cmp.Compare(n[b], n[a]), cmp.Compare(a, b))
	})
	if p.Top > 0 {
		words = words[:min(p.Top, len(words))]
	}
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	_ = w.Write([]string{"word", "count"}) // a buffer never fails
	for _, word := range words {
		_ = w.Write([]string{word, strconv.Itoa(n[word])})
	}
	w.Flush()
	return out.Bytes(), w.Error()
}
