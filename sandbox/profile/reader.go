package profile

import "encoding/binary"

// A reader reads the binary format: WebAssembly Core Specification 2.0,
// section 5. After a read past the end bad is set, and everything reads as zero.
type reader struct {
	data []byte
	at   int
	bad  bool
}

func (r *reader) more() bool { return !r.bad && r.at < len(r.data) }

func (r *reader) byte() byte {
	if r.bad || r.at >= len(r.data) {
		r.bad = true
		return 0
	}
	r.at++
	return r.data[r.at-1]
}

func (r *reader) bytes(n uint64) []byte {
	if r.bad || n > uint64(len(r.data)-r.at) {
		r.bad = true
		return nil
	}
	b := r.data[r.at : r.at+int(n)]
	r.at += int(n)
	return b
}

// u32 reads an unsigned number of up to 32 bits.
func (r *reader) u32() uint32 {
	if !r.bad && r.at < len(r.data) && r.data[r.at] < 0x80 { // most are a byte long
		r.at++
		return uint32(r.data[r.at-1])
	}
	v, n := binary.Uvarint(r.data[min(r.at, len(r.data)):])
	if r.bad || n <= 0 || v >= 1<<32 {
		r.bad = true
		return 0
	}
	r.at += n
	return uint32(v)
}

// signed reads a signed number of up to 64 bits.
func (r *reader) signed() (v int64) {
	for shift := uint(0); shift < 70; shift += 7 {
		b := r.byte()
		v |= int64(b&0x7f) << shift
		if b < 0x80 {
			if shift < 57 && b&0x40 != 0 {
				v |= -1 << (shift + 7)
			}
			return v
		}
	}
	r.bad = true
	return 0
}

// vector reads a vector of bytes: their number, then they themselves.
func (r *reader) vector() []byte { return r.bytes(uint64(r.u32())) }

func appendU32(dst []byte, v int) []byte { return binary.AppendUvarint(dst, uint64(v)) }

func appendSigned(dst []byte, v int64) []byte {
	for {
		b := byte(v & 0x7f)
		v >>= 7
		if v == 0 && b&0x40 == 0 || v == -1 && b&0x40 != 0 {
			return append(dst, b)
		}
		dst = append(dst, b|0x80)
	}
}

func appendVector(dst, body []byte) []byte { return append(appendU32(dst, len(body)), body...) }
