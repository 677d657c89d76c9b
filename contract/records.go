package contract

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
)

// A record is an unsigned varint (LEB128, as encoding/binary writes it) with
// the number of bytes that follow, and these bytes.

// ErrTruncated says that a stream of records ends inside a record.
var ErrTruncated = errors.New("the records end in the middle of one")

// AppendRecord appends one record with the given bytes to dst.
func AppendRecord(dst, data []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(data)))
	return append(dst, data...)
}

// NextRecord splits the first record off b. It returns io.EOF at the end and
// ErrTruncated if b ends too early. The record shares memory with b.
func NextRecord(b []byte) (record, rest []byte, err error) {
	if len(b) == 0 {
		return nil, nil, io.EOF
	}
	n, used := binary.Uvarint(b)
	if used <= 0 || n > uint64(len(b)-used) {
		return nil, nil, ErrTruncated
	}
	end := used + int(n)
	return b[used:end:end], b[end:], nil
}

// Records yields the records in b one by one; a malformed stream ends with an
// error that names the record.
func Records(b []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for i := 0; len(b) > 0; i++ {
			record, rest, err := NextRecord(b)
			if err != nil {
				yield(nil, fmt.Errorf("record %d: %w", i, err))
				return
			}
			if !yield(record, nil) {
				return
			}
			b = rest
		}
	}
}
