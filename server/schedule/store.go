package schedule

// A slab keeps values by number and uses the numbers again. It grows by pages,
// so that it never has to move or to over-allocate.
type slab[T any] struct {
	pages [][]T
	free  []uint32
	size  uint32
	used  int
}

const pageBits = 12

func (s *slab[T]) at(i uint32) *T { return &s.pages[i>>pageBits][i&(1<<pageBits-1)] }

func (s *slab[T]) take(v T) uint32 {
	s.used++
	i := s.size
	if n := len(s.free); n > 0 {
		i = s.free[n-1]
		s.free = s.free[:n-1]
	} else {
		if i>>pageBits == uint32(len(s.pages)) {
			s.pages = append(s.pages, make([]T, 1<<pageBits))
		}
		s.size++
	}
	*s.at(i) = v
	return i
}

func (s *slab[T]) give(i uint32) {
	s.used--
	s.free = append(s.free, i)
}

// A queue is first in, first out, with places that are taken out of the middle
// and cursors that stay good meanwhile. A place is a number that only grows.
type queue struct {
	tasks  []uint32 // none where one was taken out
	base   uint64   // the place of tasks[0]
	live   int
	pushed int    // in all
	round  uint32 // how often it was squeezed, or else the cursors became void
}

// A cursor is how far a worker has looked along the queue. It is good for one
// round of the queue and one turn of the worker's volunteer.
type cursor struct {
	place       uint64
	round, turn uint32
}

// push puts a task at the end and gives its place.
func (q *queue) push(task uint32) (place uint64) {
	q.tasks = append(q.tasks, task)
	q.live++
	q.pushed++
	return q.base + uint64(len(q.tasks)) - 1
}

// sparse says that most places are empty: time to squeeze.
func (q *queue) sparse() bool { return len(q.tasks) > 1024 && q.live < len(q.tasks)/4 }

// squeeze drops the empty places and says where each task is now.
func (q *queue) squeeze(moved func(task uint32, place uint64)) {
	kept := q.tasks[:0]
	for _, t := range q.tasks {
		if t != none {
			moved(t, q.base+uint64(len(kept)))
			kept = append(kept, t)
		}
	}
	q.tasks = kept
	q.round++
}

func (q *queue) resume(c cursor, turn uint32) uint64 {
	if c.round != q.round || c.turn != turn {
		return q.base
	}
	return max(c.place, q.base)
}

func (q *queue) mark(at uint64, turn uint32) cursor { return cursor{at, q.round, turn} }

func (q *queue) peek(at uint64) (task uint32, ok bool) {
	if at-q.base >= uint64(len(q.tasks)) {
		return none, false
	}
	return q.tasks[at-q.base], true
}

// drop empties a place.
func (q *queue) drop(at uint64) {
	q.tasks[at-q.base] = none
	q.live--
	for len(q.tasks) > 0 && q.tasks[0] == none {
		q.tasks = q.tasks[1:]
		q.base++
	}
}
