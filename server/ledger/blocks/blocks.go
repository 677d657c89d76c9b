// Package blocks reads the files of a JetStream stream without a server. The
// server's own way with a damaged file is to cut it off where it is damaged and
// to say nothing; what is read here first can be named and saved.
package blocks

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/minio/highwayhash"
)

// A Message is one that is whole.
type Message struct {
	Seq     uint64
	Subject string
	Header  []byte
	Data    []byte
}

// A Stream is what is in the files of one.
type Stream struct {
	// Latest is the last message of each subject.
	Latest map[string]Message
	// Lost are subjects whose last message is damaged or gone, as far as that can
	// be told.
	Lost []string
	// Damage says what is wrong; "" if nothing is.
	Damage string
}

// The form of a block: records of a length, a sequence, a time and the length of
// the subject, little endian; the subject; the length of the header, if there is
// one, and the header; the data; and a hash.
const (
	headSize = 4 + 8 + 8 + 2
	hashSize = 8
	withHead = 1 << 31 // in the length: there is a header
	erased   = 1 << 63 // in the sequence: the message was deleted
	tomb     = 1 << 62 // in the sequence: another message was deleted
	maxSize  = 32 << 20
)

// Read reads the folder of a stream; a folder that is not there is an empty one.
func Read(dir string) (*Stream, error) {
	s := &Stream{Latest: map[string]Message{}}
	name := filepath.Base(dir)
	if err := s.readMeta(dir, name); err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(dir, "msgs", "*.blk"))
	if err != nil {
		return nil, err
	}
	number := func(file string) int {
		n, _ := strconv.Atoi(strings.TrimSuffix(filepath.Base(file), ".blk")) // what is no number comes first
		return n
	}
	slices.SortFunc(files, func(a, b string) int { return number(a) - number(b) })
	r := reader{stream: s, bad: map[string]uint64{}}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		r.hash = hasher(fmt.Sprintf("%s-%d", name, number(file)))
		r.block(filepath.Base(file), data)
	}
	if _, err := os.Stat(filepath.Join(dir, "meta.sum")); errors.Is(err, fs.ErrNotExist) && r.last == 0 {
		s.Damage = "" // a server was killed while it made the stream
	}
	if err := r.compare(filepath.Join(dir, "msgs", "index.db"), name); err != nil {
		return nil, err
	}
	for subject, seq := range r.bad {
		if s.Latest[subject].Seq < seq { // what is there is older
			delete(s.Latest, subject)
			s.Lost = append(s.Lost, subject)
		}
	}
	slices.Sort(s.Lost)
	return s, nil
}

func hasher(key string) hash.Hash {
	sum := sha256.Sum256([]byte(key))
	h, _ := highwayhash.NewDigest64(sum[:]) // the key has the length that it takes
	return h
}

func (s *Stream) damaged(format string, args ...any) {
	if s.Damage == "" {
		s.Damage = fmt.Sprintf(format, args...)
	}
}

// readMeta looks at what the stream says of itself.
func (s *Stream) readMeta(dir, name string) error {
	meta, err := os.ReadFile(filepath.Join(dir, "meta.inf"))
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(dir, "msgs")); err == nil {
			s.damaged("meta.inf is missing")
		}
		return nil
	}
	if err != nil {
		return err
	}
	sum, err := os.ReadFile(filepath.Join(dir, "meta.sum"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	h := hasher(name)
	h.Write(meta)
	if hex.EncodeToString(h.Sum(nil)) != string(bytes.TrimSpace(sum)) {
		s.damaged("meta.inf does not have its checksum")
	}
	return nil
}

type reader struct {
	stream *Stream
	hash   hash.Hash
	last   uint64            // the highest sequence
	bad    map[string]uint64 // the highest sequence of a damaged message, by subject
}

// block reads a block. After damage it goes on with the next record that is whole.
func (r *reader) block(file string, data []byte) {
	for at := 0; at < len(data); {
		size, ok := r.record(data[at:])
		if ok {
			at += size
			continue
		}
		next := r.next(data, at+1)
		if next == len(data) && r.cutOff(data[at:]) {
			return // what was never acknowledged, as a crash leaves it
		}
		r.stream.damaged("%s is damaged at byte %d", file, at)
		r.lose(data[at:next])
		at = next
	}
}

// next is where the next whole record begins.
func (r *reader) next(data []byte, from int) int {
	for at := from; at+headSize+hashSize <= len(data); at++ {
		if m, _, ok := r.parse(data[at:]); ok && m.Seq > 0 {
			return at
		}
	}
	return len(data)
}

// cutOff says whether what is left of a block is the beginning of a record, as
// far as it goes: it could have been whole.
func (r *reader) cutOff(rest []byte) bool {
	if len(rest) < headSize {
		return bytes.ContainsFunc(rest, func(c rune) bool { return c != 0 })
	}
	size := int(binary.LittleEndian.Uint32(rest) &^ withHead)
	return size > len(rest) && size <= maxSize
}

// record takes the record at the beginning of data.
func (r *reader) record(data []byte) (size int, ok bool) {
	m, size, ok := r.parse(data)
	if !ok {
		return 0, false
	}
	r.last = max(r.last, m.Seq&^(erased|tomb))
	if m.Seq&(erased|tomb) == 0 && m.Seq > r.stream.Latest[m.Subject].Seq {
		m.Header, m.Data = bytes.Clone(m.Header), bytes.Clone(m.Data)
		r.stream.Latest[m.Subject] = m
	}
	return size, true
}

func (r *reader) parse(data []byte) (m Message, size int, ok bool) {
	if len(data) < headSize+hashSize {
		return m, 0, false
	}
	length := binary.LittleEndian.Uint32(data)
	size = int(length &^ withHead)
	subject := int(binary.LittleEndian.Uint16(data[20:]))
	if size < headSize+subject+hashSize || size > len(data) || size > maxSize {
		return m, 0, false
	}
	m.Seq = binary.LittleEndian.Uint64(data[4:])
	body, sum := data[headSize:size-hashSize], data[size-hashSize:size]
	m.Subject, body = string(body[:subject]), body[subject:]
	head := 0
	if length&withHead != 0 {
		if len(body) < 4 {
			return m, 0, false
		}
		head, body = int(binary.LittleEndian.Uint32(body)), body[4:]
		if head > len(body) {
			return m, 0, false
		}
	}
	r.hash.Reset()
	r.hash.Write(data[4:20])
	r.hash.Write([]byte(m.Subject))
	r.hash.Write(body)
	m.Header, m.Data = body[:head], body[head:]
	return m, size, bytes.Equal(r.hash.Sum(nil), sum)
}

// lose notes whose message a damaged record was, if its head can still be read.
func (r *reader) lose(data []byte) {
	if len(data) < headSize {
		return
	}
	seq, subject := binary.LittleEndian.Uint64(data[4:]), int(binary.LittleEndian.Uint16(data[20:]))
	if seq&(erased|tomb) != 0 || headSize+subject > len(data) {
		return
	}
	name := data[headSize : headSize+subject]
	if readable(name) {
		r.bad[string(name)] = max(r.bad[string(name)], seq)
	}
}

func readable(name []byte) bool {
	return len(name) > 0 && !bytes.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c > '~' })
}

// compare compares what was read with the index, which a server writes when it
// ends, and now and then: messages that it has and that are not there were cut off.
func (r *reader) compare(file, name string) error {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	in, ok := readIndex(data, name)
	if !ok {
		r.stream.damaged("index.db does not have its checksum")
		return nil
	}
	if in.last > r.last {
		r.stream.damaged("the last %d of %d messages are missing", in.last-r.last, in.last)
	}
	for subject, seq := range r.bad {
		if seq <= in.last && in.last > 0 && !slices.Contains(in.subjects, subject) {
			delete(r.bad, subject) // it is the name that is damaged
		}
	}
	for _, subject := range in.subjects {
		if _, there := r.stream.Latest[subject]; !there && r.stream.Damage != "" {
			r.bad[subject] = max(r.bad[subject], in.last)
		}
	}
	return nil
}

// An index is what is of interest in one.
type index struct {
	last     uint64
	subjects []string
}

// The form of an index: a magic number and a version, the number of messages,
// bytes, the first sequence and its time, the last and its time, and the
// subjects with three numbers each.
const (
	indexMagic    = 11
	indexVersions = 4 // up to this one
)

func readIndex(data []byte, name string) (in index, ok bool) {
	if len(data) < 2+hashSize {
		return in, false
	}
	data, sum := data[:len(data)-hashSize], data[len(data)-hashSize:]
	h := hasher(name)
	h.Write(data)
	if !bytes.Equal(h.Sum(nil), sum) {
		return in, false
	}
	version := data[1]
	if data[0] != indexMagic || version > indexVersions {
		return in, true // of another server: nothing is known
	}
	n := numbers{data: data[2:]}
	n.next() // messages
	n.next() // bytes
	n.next() // first
	n.next() // its time, of as many bytes
	in.last = n.next()
	n.next() // its time
	for left := n.next(); left > 0 && !n.over; left-- {
		in.subjects = append(in.subjects, n.text())
		total := n.next()
		n.next() // the first block
		if total > 1 || version >= 4 {
			n.next() // the last block
		}
	}
	return in, true
}

// numbers reads variable-length numbers.
type numbers struct {
	data []byte
	over bool
}

func (n *numbers) next() uint64 {
	v, size := binary.Uvarint(n.data)
	if size <= 0 {
		n.over = true
		return 0
	}
	n.data = n.data[size:]
	return v
}

func (n *numbers) text() string {
	size := n.next()
	if size > uint64(len(n.data)) {
		n.over = true
		return ""
	}
	text := string(n.data[:size])
	n.data = n.data[size:]
	return text
}
