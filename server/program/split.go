package program

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// A Splitter cuts a text or data into the inputs of tasks: a built-in one, for
// programs that have no split stage.
type Splitter struct {
	kind           string // lines, bytes, range, json
	n              int    // lines or bytes an input
	from, to, step int64
}

const splitterForms = "lines, lines:N, bytes:N, range:FROM:TO[:STEP] or json"

// ParseSplitter reads the name of a splitter:
//
//	lines                  one line an input, with its line end
//	lines:N                N lines an input
//	bytes:N                N bytes an input
//	range:FROM:TO[:STEP]   a whole number an input, in decimal; takes no data
//	json                   one element of a JSON array an input, as JSON
func ParseSplitter(s string) (*Splitter, error) {
	kind, rest, more := strings.Cut(s, ":")
	bad := fmt.Errorf("splitter %q is not known: use %s", s, splitterForms)
	switch kind {
	case "lines", "bytes":
		n, err := 1, error(nil)
		if more {
			n, err = strconv.Atoi(rest)
		}
		if err != nil || n < 1 || kind == "bytes" && !more {
			return nil, bad
		}
		return &Splitter{kind: kind, n: n}, nil
	case "range":
		return parseRange(rest, bad)
	case "json":
		if more {
			return nil, bad
		}
		return &Splitter{kind: kind}, nil
	}
	return nil, bad
}

func parseRange(s string, bad error) (*Splitter, error) {
	parts := strings.Split(s, ":")
	if len(parts) < 2 || len(parts) > 3 {
		return nil, bad
	}
	v := []int64{0, 0, 1}
	for i, p := range parts {
		n, err := strconv.ParseInt(p, 10, 64)
		if err != nil {
			return nil, bad
		}
		v[i] = n
	}
	if v[2] == 0 || v[2] > 0 && v[0] > v[1] || v[2] < 0 && v[0] < v[1] {
		return nil, fmt.Errorf("splitter range:%s never gets from its first number to its last", s)
	}
	if distance(v[0], v[1])/distance(0, v[2]) >= MaxTasks {
		return nil, fmt.Errorf("splitter range:%s makes more than %d tasks: take a larger step", s, MaxTasks)
	}
	return &Splitter{kind: "range", from: v[0], to: v[1], step: v[2]}, nil
}

// NeedsData says whether the splitter cuts data, rather than making inputs up.
func (s *Splitter) NeedsData() bool { return s.kind != "range" }

// Split gives each input to yield, which may stop it with an error. The bytes
// are only good during the call.
func (s *Splitter) Split(data io.Reader, yield func([]byte) error) error {
	switch s.kind {
	case "lines":
		return s.lines(bufio.NewReaderSize(data, 64<<10), yield)
	case "bytes":
		return s.bytes(data, yield)
	case "range":
		return s.numbers(yield)
	default:
		return items(data, yield)
	}
}

func (s *Splitter) lines(r *bufio.Reader, yield func([]byte) error) error {
	var chunk []byte
	have := 0
	for {
		line, err := r.ReadSlice('\n')
		chunk = append(chunk, line...)
		if len(chunk) > MaxInput {
			return fmt.Errorf("%d lines have more than %d bytes: take fewer lines an input, or split by bytes", s.n, MaxInput)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if len(line) > 0 {
			have++
		}
		if len(chunk) > 0 && (have == s.n || err != nil) {
			if err := yield(chunk); err != nil {
				return err
			}
			chunk, have = chunk[:0], 0
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the input: %w", err)
		}
	}
}

func (s *Splitter) bytes(r io.Reader, yield func([]byte) error) error {
	if s.n > MaxInput {
		return fmt.Errorf("bytes:%d is too much for one input: at most %d", s.n, MaxInput)
	}
	chunk := make([]byte, s.n)
	for {
		n, err := io.ReadFull(r, chunk)
		if n > 0 {
			if err := yield(chunk[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the input: %w", err)
		}
	}
}

func (s *Splitter) numbers(yield func([]byte) error) error {
	var text []byte
	for v := s.from; ; v += s.step {
		text = strconv.AppendInt(text[:0], v, 10)
		if err := yield(text); err != nil {
			return err
		}
		if distance(v, s.to) < distance(0, s.step) {
			return nil
		}
	}
}

// distance is |a − b|, which an int64 may not hold.
func distance(a, b int64) uint64 {
	if a > b {
		a, b = b, a
	}
	return uint64(b) - uint64(a)
}

func items(r io.Reader, yield func([]byte) error) error {
	d := json.NewDecoder(r)
	bad := func(err error) error {
		return fmt.Errorf("the input is not a JSON array (at byte %d): %w", d.InputOffset(), err)
	}
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return bad(errors.Join(err, errors.New("want [")))
	}
	for d.More() {
		var item json.RawMessage
		if err := d.Decode(&item); err != nil {
			return bad(err)
		}
		if err := yield(item); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return bad(err)
	}
	return nil
}
