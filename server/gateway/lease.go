package gateway

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
)

// A lease names one task of one job. Its wire form is these, and a MAC over
// them and the volunteer that it was lent to: nobody can make one up, nor use
// another's, and any server of the grid can check it.
type lease struct {
	job  string
	task uint32
}

const macSize = 16

// sign gives the wire form: the task (4 bytes, little endian), the job, the MAC.
func (g *Gateway) sign(l lease, volunteer string) []byte {
	out := binary.LittleEndian.AppendUint32(make([]byte, 0, 4+len(l.job)+macSize), l.task)
	out = append(out, l.job...)
	return append(out, g.mac(out, volunteer)...)
}

// verify reads the wire form; ok is false if it was not lent to the volunteer.
func (g *Gateway) verify(data []byte, volunteer string) (l lease, ok bool) {
	if len(data) < 4+macSize {
		return l, false
	}
	body, mac := data[:len(data)-macSize], data[len(data)-macSize:]
	if !hmac.Equal(mac, g.mac(body, volunteer)) {
		return l, false
	}
	return lease{string(body[4:]), binary.LittleEndian.Uint32(body)}, true
}

func (g *Gateway) mac(body []byte, volunteer string) []byte {
	h := hmac.New(sha256.New, g.secret)
	h.Write(body)
	h.Write([]byte(volunteer))
	return h.Sum(nil)[:macSize]
}
