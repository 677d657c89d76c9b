package ledger

import (
	"bytes"
	"testing"
)

// What is whole in a message of results is what was packed, whatever comes after.
func FuzzUnpack(f *testing.F) {
	good := pack(kindResults, [][]byte{[]byte("one"), {}, bytes.Repeat([]byte("x"), 300)})
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(pack(kindOwner, [][]byte{[]byte("server")}))
	f.Add([]byte{kindResults, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		var records [][]byte
		ok, err := unpack(data, func(r []byte) error { records = append(records, r); return nil })
		if err != nil {
			t.Fatal(err)
		}
		if !ok || data[0] != kindResults {
			return
		}
		n := 0
		whole, _ := unpack(pack(kindResults, records), func(r []byte) error {
			if !bytes.Equal(r, records[n]) {
				t.Errorf("record %d: %q is not %q", n, r, records[n])
			}
			n++
			return nil
		})
		if !whole || n != len(records) {
			t.Errorf("%d of %d records", n, len(records))
		}
	})
}
