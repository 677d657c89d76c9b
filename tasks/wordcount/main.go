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

type counts map[string]int // as JSON its keys are sorted, so replicas agree

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
