package contract

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestRecordsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOf(rapid.SliceOf(rapid.Byte())).Draw(t, "records")
		var stream []byte
		for _, r := range want {
			stream = AppendRecord(stream, r)
		}
		i := 0
		for got, err := range Records(stream) {
			if err != nil || !bytes.Equal(got, want[i]) {
				t.Fatalf("record %d: got %q, %v; want %q", i, got, err, want[i])
			}
			i++
		}
		if i != len(want) {
			t.Fatalf("got %d records, want %d", i, len(want))
		}
	})
}

func TestRecordsCutShort(t *testing.T) {
	stream := AppendRecord(AppendRecord(nil, []byte("one")), []byte("two"))
	var last error
	for _, err := range Records(stream[:len(stream)-1]) {
		last = err
	}
	if !errors.Is(last, ErrTruncated) || !strings.Contains(last.Error(), "record 1") {
		t.Fatalf("got %v, want record 1 truncated", last)
	}
}

func FuzzRecords(f *testing.F) {
	f.Add(AppendRecord(AppendRecord(nil, []byte("one")), nil))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, stream []byte) {
		var again []byte
		for r, err := range Records(stream) {
			if err != nil {
				return
			}
			again = AppendRecord(again, r)
		}
		if len(again) > len(stream) {
			t.Fatalf("%x grew to %x", stream, again)
		}
	})
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"contract":1,"name":"square","result":"application/json","stages":["split","map"]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if m, err := ParseManifest(data); err == nil && !m.Has(Map) {
			t.Fatalf("accepted a manifest without map: %s", data)
		}
	})
}

func TestManifestRefusals(t *testing.T) {
	for name, c := range map[string]struct{ manifest, want string }{
		"not JSON":       {`hello`, "not the JSON"},
		"other contract": {`{"contract":2}`, "speaks contract 2"},
		"no name":        {`{"contract":1}`, "needs a name"},
		"no map":         {`{"contract":1,"name":"a","result":"text/plain","stages":["split"]}`, "no map stage"},
		"unknown stage":  {`{"contract":1,"name":"a","result":"text/plain","stages":["map","shuffle"]}`, `"shuffle"`},
		"no splitter":    {`{"contract":1,"name":"a","result":"text/plain","stages":["map"]}`, "splitter"},
		"two splitters":  {`{"contract":1,"name":"a","result":"text/plain","stages":["map","split"],"split":"lines"}`, "splitter"},
		"collect":        {`{"contract":1,"name":"a","result":"text/plain","stages":["map","split"],"collect":"heap"}`, `"heap"`},
	} {
		if _, err := ParseManifest([]byte(c.manifest)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q in it", name, err, c.want)
		}
	}
}
