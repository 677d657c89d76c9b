package main

import (
	"encoding/binary"
	"errors"
	"math"
)

// A part is what some trajectories gave, one after the other, so that joining
// parts is nothing but joining lists: associative, and exact, since all are
// whole numbers. The mean and its error are made of them when they are drawn.
type part struct {
	curves []int64 // curvePoints a trajectory: the exponent so far, in millionths
	twins  []int64 // of the very first trajectory: see twins
}

const perExponent = 1e6

func join(a, b part) (part, error) {
	return part{concat(a.curves, b.curves), concat(a.twins, b.twins)}, nil
}

func concat(a, b []int64) []int64 {
	return append(append(make([]int64, 0, len(a)+len(b)), a...), b...)
}

// Twins: how long and how often they are looked at, and what their lists hold.
const (
	twinUnits   = 16 // 80 days
	twinPerUnit = 10 // every twelve hours
	twinTimes   = twinUnits*twinPerUnit + 1
	perValue    = 100  // steps of a value
	perDecade   = 1000 // steps of the decimal logarithm of a difference
	nearest     = -9   // as small as a difference is told
)

// twins follows a state and a twin that began a millionth beside it at one
// site, without disturbing r. For each time there are the values of all sites
// and then the logarithms of the differences.
func twins(r *ring) (out []int64) {
	a, b := newRing(r.n, r.force), newRing(r.n, r.force)
	copy(a.x, r.x)
	copy(b.x, r.x)
	b.x[2+r.n/2] += 1e-6
	wrap(b.x)
	for time := range twinTimes {
		if time > 0 {
			for range stepsPerUnit / twinPerUnit {
				a.step()
				b.step()
			}
		}
		for i := range r.n {
			out = append(out, int64(math.Round(a.x[2+i]*perValue)))
		}
		for i := range r.n {
			far := max(nearest, math.Log10(math.Abs(b.x[2+i]-a.x[2+i])))
			out = append(out, int64(math.Round(far*perDecade)))
		}
	}
	return out
}

// MarshalBinary writes each list as its length and its values, all varints.
func (p part) MarshalBinary() ([]byte, error) { //nolint:unparam // encoding.BinaryMarshaler is so
	out := make([]byte, 0, 4*len(p.curves)+3*len(p.twins)+8)
	for _, list := range [][]int64{p.curves, p.twins} {
		out = binary.AppendUvarint(out, uint64(len(list)))
		for _, v := range list {
			out = binary.AppendVarint(out, v)
		}
	}
	return out, nil
}

var errShort = errors.New("a part is cut short")

// UnmarshalBinary reads what MarshalBinary wrote; no bytes at all are an empty part.
func (p *part) UnmarshalBinary(data []byte) (err error) {
	*p = part{}
	for _, list := range []*[]int64{&p.curves, &p.twins} {
		if len(data) == 0 {
			break
		}
		if *list, data, err = readList(data); err != nil {
			return err
		}
	}
	if len(data) > 0 || len(p.curves)%curvePoints != 0 || len(p.twins)%(2*twinTimes) != 0 {
		return errors.New("a part has more or less in it than belongs there")
	}
	return nil
}

func readList(data []byte) (list []int64, rest []byte, err error) {
	count, n := binary.Uvarint(data)
	if n <= 0 || count > uint64(len(data)-n) { // a value takes a byte at least
		return nil, nil, errShort
	}
	data = data[n:]
	list = make([]int64, count)
	for i := range list {
		v, n := binary.Varint(data)
		if n <= 0 {
			return nil, nil, errShort
		}
		list[i], data = v, data[n:]
	}
	return list, data, nil
}
