package main

import (
	"bytes"
	"image/png"
	"math"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"potluck/tasks/picture"
)

// anyPart draws a part of some members of a tiny grid.
func anyPart(t *rapid.T, name string) part {
	const cells, plume = 5, 6
	members := rapid.IntRange(0, 3).Draw(t, name+" members")
	if members == 0 {
		return part{}
	}
	list := func(n int, most int64) []int64 {
		return rapid.SliceOfN(rapid.Int64Range(-most, most), n, n).Draw(t, name)
	}
	return part{
		members: int64(members),
		height:  list(cells, mostHeight), square: list(cells, mostHeight*mostHeight), curl: list(cells, mostCurl),
		plumes: list(plume*members, mostHeight),
	}
}

func joined(t *rapid.T, a, b part) part {
	sum, err := join(a, b)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// A property that fails is reported with the seed that shows it again.
func TestJoinIsAssociative(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := anyPart(t, "a"), anyPart(t, "b"), anyPart(t, "c")
		if l, r := joined(t, joined(t, a, b), c), joined(t, a, joined(t, b, c)); !reflect.DeepEqual(l, r) {
			t.Fatalf("%v\n%v", l, r)
		}
	})
}

func TestPartsTravel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := anyPart(t, "part")
		data, err := want.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		var got part
		if err := got.UnmarshalBinary(data); err != nil {
			t.Fatal(err)
		}
		if want.members > 0 && !reflect.DeepEqual(got, want) {
			t.Fatalf("%v\n%v", got, want)
		}
		if cut := rapid.IntRange(1, len(data)-1).Draw(t, "cut"); got.UnmarshalBinary(data[:cut]) == nil {
			t.Fatalf("%d of %d bytes are a part", cut, len(data))
		}
		_ = got.UnmarshalBinary(rapid.SliceOf(rapid.Byte()).Draw(t, "noise")) // must not panic
	})
}

// Even the most members that there can be, all at the end of the range, add up.
func TestSumsFit(t *testing.T) {
	f, _ := reflect.TypeFor[params]().FieldByName("Members")
	if f.Tag.Get("max") != "2000" || 2000*mostHeight*mostHeight > math.MaxInt64 || 2000*mostCurl > math.MaxInt64 {
		t.Error("sums may overflow")
	}
}

// A task that no volunteer would finish in time is refused.
func TestCheck(t *testing.T) {
	big := params{Members: 1, Batch: 1, Columns: 256, Days: 3}
	if err := check(big); err != nil {
		t.Error(err)
	}
	big.Batch = 2
	if check(big) == nil {
		t.Error("a task of a minute is let through")
	}
}

// A forecast is the same bytes however its members are dealt out.
func TestGroupingDoesNotMatter(t *testing.T) {
	var first []byte
	for _, size := range []int{1, 2, 3, 7} {
		p := small
		p.Batch = size
		batches, err := split(p)
		if err != nil {
			t.Fatal(err)
		}
		var sum part
		for _, b := range batches {
			one, err := forecast(b)
			if err != nil {
				t.Fatal(err)
			}
			if sum, err = join(sum, one); err != nil {
				t.Fatal(err)
			}
		}
		data, err := sum.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = data
		}
		if sum.members != 7 || !bytes.Equal(first, data) {
			t.Errorf("%d members at a time give another forecast", size)
		}
	}
}

// There is a picture of any number of members, none included.
func TestRender(t *testing.T) {
	var sum part
	for n := range 3 {
		file, err := render(small, sum)
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(bytes.NewReader(file))
		if err != nil || img.Bounds().Dx() != pictureWidth || img.Bounds().Dy() != pictureHeight {
			t.Errorf("%d members: %v", n, err)
		}
		if want := (&drawing{params: small, part: sum}).caption(); picture.Description(file) != want {
			t.Errorf("described as %q instead of %q", picture.Description(file), want)
		}
		one, err := member(small, n)
		if err != nil {
			t.Fatal(err)
		}
		if sum, err = join(sum, one); err != nil {
			t.Fatal(err)
		}
	}
}
