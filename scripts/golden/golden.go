// Package golden lets tests compare what is stored and sent with files in
// testdata/golden, a folder a release. A file that is there is never changed:
// grids have data of that release, and later ones must read it.
package golden

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files that are not there yet")

// Rewrite says whether files that are not there are to be made.
func Rewrite() bool { return *rewrite }

// Bytes wants data to be what a file has, and gives what it has. A .json file
// is indented for its readers, a .txt file has a line, and a .hex file a dump.
func Bytes(t *testing.T, file string, data []byte) []byte {
	t.Helper()
	path := filepath.Join("testdata", "golden", filepath.FromSlash(file))
	text, err := os.ReadFile(path)
	if *rewrite && errors.Is(err, fs.ErrNotExist) {
		text = show(t, file, data)
		err = errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, text, 0o644)) //nolint:gosec // they are committed
	}
	if err != nil {
		t.Fatalf("%v: go test -rewrite writes files that are not there", err)
	}
	want := parse(t, file, text)
	if !bytes.Equal(data, want) {
		t.Errorf("%s is another one. The old one stays; CONTRIBUTING.md says how a format is changed. It is\n%swhich was\n%s", file, show(t, file, data), text)
	}
	return want
}

// RoundTrip wants a value to be encoded as a file has it, the file to be decoded
// as the value, and a field that a later release adds to do no harm.
func RoundTrip[T any](t *testing.T, file string, value T, encode func(any) ([]byte, error), decode func([]byte, any) error) {
	t.Helper()
	data, err := encode(value)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	old := Bytes(t, file, data)
	for _, data := range [][]byte{old, Later(t, old)} {
		var got T
		if err := decode(data, &got); err != nil || !reflect.DeepEqual(got, value) {
			t.Errorf("%s is read as\n%+v, %v, not as\n%+v", file, got, err, value)
		}
	}
}

// Later adds an unknown field to a JSON object or to a CBOR map with
// fewer than 23 entries.
func Later(t *testing.T, data []byte) []byte {
	t.Helper()
	switch {
	case bytes.HasPrefix(data, []byte("{}")):
		return []byte(`{"later":[1]}`)
	case data[0] == '{':
		return append([]byte(`{"later":[1],`), data[1:]...)
	case data[0] >= 0xa0 && data[0] < 0xb7:
		return append(append([]byte{data[0] + 1}, data[1:]...), 0x18, 0x63, 0x81, 0x01) // 99: [1]
	}
	t.Fatalf("% x is neither a JSON object nor a CBOR map", data)
	return nil
}

func show(t *testing.T, file string, data []byte) []byte {
	t.Helper()
	switch filepath.Ext(file) {
	case ".txt":
		return append(bytes.Clone(data), '\n')
	case ".hex":
		return []byte(hex.Dump(data))
	}
	var b bytes.Buffer
	if err := json.Indent(&b, data, "", "\t"); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	b.WriteByte('\n')
	return b.Bytes()
}

// parse undoes show.
func parse(t *testing.T, file string, text []byte) []byte {
	t.Helper()
	switch filepath.Ext(file) {
	case ".txt":
		return bytes.TrimSuffix(text, []byte("\n"))
	case ".hex":
		return parseDump(t, file, text)
	}
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return b.Bytes()
}

func parseDump(t *testing.T, file string, text []byte) (all []byte) {
	t.Helper()
	for line := range strings.Lines(string(text)) {
		columns, _, _ := strings.Cut(line, "|")
		_, columns, _ = strings.Cut(columns, " ") // the offset
		data, err := hex.DecodeString(strings.ReplaceAll(columns, " ", ""))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, data...)
	}
	return all
}
