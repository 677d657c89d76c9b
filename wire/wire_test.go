package wire

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
)

var worker = FromWorker{
	Hello:   &Hello{Protocol: Protocol, Name: "ada", Secret: []byte("s"), Slots: 2},
	Credit:  7,
	Results: []Result{{Lease: []byte("l"), Output: []byte("o"), Micros: 5}, {Lease: []byte("m"), Failure: &Failure{Kind: "exit", Message: "no"}}},
}

var gateway = ToWorker{
	Welcome: &Welcome{Volunteer: "v", Worker: "w"},
	Batches: []Batch{{Job: "j", Module: []byte("m"), Args: []string{"map"}, Leases: []Lease{{ID: []byte("l"), Task: 3, Input: []byte("i")}}}},
	Acks:    []Ack{{Lease: []byte("l"), Status: Accepted}},
	Idle:    &Idle{Reason: "nothing to do"},
}

func TestRoundTrip(t *testing.T) {
	data, err := Encode(worker)
	if err != nil {
		t.Fatal(err)
	}
	var got FromWorker
	if err := Decode(data, &got); err != nil || !reflect.DeepEqual(got, worker) {
		t.Fatalf("got %+v, %v", got, err)
	}
}

func TestNonsenseIsAnError(t *testing.T) {
	for _, data := range [][]byte{nil, []byte("GET / HTTP/1.1"), {0xff}, bytes.Repeat([]byte{0x81}, 100), {0xa1, 0x03, 0x9b, 0, 0, 0, 1, 0, 0, 0, 0}} {
		var m FromWorker
		if err := Decode(data, &m); !errors.Is(err, ErrMessage) {
			t.Errorf("%x: %v", data, err)
		}
	}
}

func FuzzFromWorker(f *testing.F) { fuzz[FromWorker](f, worker) }

func FuzzToWorker(f *testing.F) { fuzz[ToWorker](f, gateway) }

// fuzz checks that whatever decodes encodes again, to something that decodes
// to the same.
func fuzz[M any](f *testing.F, seed M) {
	f.Helper()
	data, err := Encode(seed)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		var m, again M
		if Decode(data, &m) != nil {
			return
		}
		once, err := Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		if err := Decode(once, &again); err != nil {
			t.Fatal(err)
		}
		if twice, err := Encode(again); err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%x became %x, %v", once, twice, err)
		}
	})
}
