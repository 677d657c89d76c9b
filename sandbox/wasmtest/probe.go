package wasmtest

import "fmt"

// A Probe is one call of one function of WASI. What it answers is up to the
// engines where a profile does not say, but they must agree.
type Probe struct {
	Name   string
	Module []byte
	// Answers are the outputs that profiles demand, by their number.
	Answers map[int][]byte
}

// What calls answer that ask for a place in a file, by profile: wazero's errors
// for the streams, then POSIX's. A file that is not open has its own error.
const (
	badFile  = 8  // EBADF
	noSystem = 52 // ENOSYS
	noPlace  = 70 // ESPIPE
)

// The places of a probe's memory: what a call is given, and what it writes.
const (
	given    = 2048
	answered = 4096
	answer   = 64 // bytes of what it writes that are looked at
)

// Probes calls every function of WASI preview 1 but proc_exit, on streams, on
// files that are not open, and with arguments that make no sense.
func Probes() (all []Probe) {
	add := func(name string, args ...any) {
		all = append(all, Probe{Name: fmt.Sprint(name, " ", args), Module: probe(name, args...)})
	}
	place := func(old byte, name string, args ...any) {
		add(name, args...)
		answers := map[int][]byte{1: {old, 0, 0, 0}, 2: {noPlace, 0, 0, 0}}
		if args[0].(int) > 2 {
			answers = map[int][]byte{1: {badFile, 0, 0, 0}, 2: {badFile, 0, 0, 0}}
		}
		all[len(all)-1].Answers = answers
	}
	long := func(v int64) []byte { return append([]byte{opConst64}, sleb(v)...) }
	for _, fd := range []int{0, 1, 2, 3, 7} {
		add("fd_fdstat_get", fd, answered)
		add("fd_filestat_get", fd, answered)
		add("fd_prestat_get", fd, answered)
		place(noSystem, "fd_seek", fd, long(0), 0, answered)
		place(noSystem, "fd_tell", fd, answered)
		add("fd_sync", fd)
		add("fd_datasync", fd)
		add("fd_advise", fd, long(0), long(1), 0)
		add("fd_allocate", fd, long(0), long(1))
		add("fd_fdstat_set_flags", fd, 0)
		add("fd_fdstat_set_rights", fd, long(0), long(0))
		add("fd_filestat_set_size", fd, long(0))
		add("fd_filestat_set_times", fd, long(0), long(0), 0)
		place(badFile, "fd_pread", fd, given, 1, long(0), answered)
		place(badFile, "fd_pwrite", fd, given, 1, long(0), answered)
		add("fd_read", fd, given, 1, answered)
		add("fd_write", fd, given, 1, answered)
		add("fd_readdir", fd, answered, answer, long(0), given)
		add("fd_renumber", fd, 9)
		add("fd_close", fd)
		add("fd_prestat_dir_name", fd, answered, 8)
		add("path_open", fd, 0, given, 4, 0, long(0), long(0), 0, answered)
		add("path_create_directory", fd, given, 4)
		add("path_filestat_get", fd, 0, given, 4, answered)
		add("path_filestat_set_times", fd, 0, given, 4, long(0), long(0), 0)
		add("path_link", fd, 0, given, 4, fd, given, 4)
		add("path_readlink", fd, given, 4, answered, 8, given)
		add("path_remove_directory", fd, given, 4)
		add("path_rename", fd, given, 4, fd, given, 4)
		add("path_symlink", given, 4, fd, given, 4)
		add("path_unlink_file", fd, given, 4)
		add("sock_accept", fd, 0, answered)
		add("sock_recv", fd, given, 1, 0, answered, answered+8)
		add("sock_send", fd, given, 1, 0, answered)
		add("sock_shutdown", fd, 1)
	}
	for clock := range 5 {
		add("clock_time_get", clock, long(0), answered)
		add("clock_res_get", clock, answered)
	}
	for signal := range 3 {
		add("proc_raise", signal)
	}
	add("sched_yield")
	add("random_get", answered, 32)
	add("environ_get", answered, answered)
	add("poll_oneoff", given, answered, 0, answered)
	return append(all, polls()...)
}

// probe makes a module that calls a function, writes what it returned as four
// bytes and, if that is 0, the first bytes of what it wrote.
func probe(name string, args ...any) []byte {
	f := function{name: name, results: []byte{i32}}
	var pushed []byte
	for _, a := range args {
		if value, long := a.([]byte); long {
			f.params = append(f.params, i64)
			pushed = append(pushed, value...)
		} else {
			f.params = append(f.params, i32)
			pushed = append(pushed, c(a.(int))...)
		}
	}
	const target, write = 0, 1
	out := func(at, n int) []byte {
		return cat(vecTo(at, n), c(1), c(vecAt), c(1), c(moved), opCall, write, opDrop)
	}
	code := cat(
		c(given), c(buffer), opStore, 2, 0, c(given+4), c(8), opStore, 2, 0, // a vector of eight bytes
		c(scratch), pushed, opCall, target, opStore, 2, 0,
		out(scratch, 4),
		opBlock, empty, c(scratch), load(), opBrIf, 0, out(answered, answer), opEnd,
		opEnd)
	return assemble(1, wasi, []function{f, imported[fdWrite]}, code)
}

// A subscription of poll_oneoff is to a clock (a tag of 0) for a time in
// nanoseconds, or to reading (1) or writing (2) a file.
type subscription struct {
	tag   byte
	file  int
	nanos int64
	flags int
}

// polls are subscriptions that the engines must answer alike.
func polls() (all []Probe) {
	for _, p := range []struct {
		name string
		to   []subscription
	}{
		{"a clock", []subscription{{nanos: 5e6}}},
		{"two clocks", []subscription{{nanos: 7e6}, {nanos: 5e6}}},
		{"absolute time", []subscription{{nanos: 5e6, flags: 1}}},
		{"unknown flags", []subscription{{nanos: 5e6, flags: 2}}},
		{"input", []subscription{{tag: 1, file: 0}}},
		{"input or a clock", []subscription{{nanos: 5e6}, {tag: 1, file: 0}}},
		{"reading the output", []subscription{{tag: 1, file: 1}}},
		{"a file not open", []subscription{{tag: 1, file: 7}, {nanos: 5e6}}},
		{"writing", []subscription{{tag: 2, file: 1}, {tag: 2, file: 7}}},
		{"an unknown tag", []subscription{{tag: 9}}},
	} {
		all = append(all, Probe{Name: "poll: " + p.name, Module: pollProbe(p.to)})
	}
	return all
}

// pollProbe polls, and then writes what it was told, the time and the events.
func pollProbe(p []subscription) []byte {
	const in, events, size, event = 2048, 4096, 48, 32
	var setup []byte
	for i, s := range p {
		at := in + i*size
		timeout := append([]byte{opConst64}, sleb(s.nanos)...)
		setup = cat(setup, c(at), c(i+1), opStore, 2, 0, c(at+8), c(int(s.tag)), opStore, 2, 0, c(at+16), c(s.file), opStore, 2, 0)
		if s.tag == 0 {
			setup = cat(setup, c(at+16), c(1), opStore, 2, 0, c(at+24), timeout, 0x37, 3, 0, c(at+40), c(s.flags), opStore, 2, 0)
		}
	}
	const told, many, clock = 1024, 1028, 1032
	return Module(1, setup,
		c(told), call(poll, c(in), c(events), c(len(p)), c(many)), opStore, 2, 0,
		call(clockGet, c(1), []byte{opConst64, 0}, c(clock)), opDrop,
		vecTo(told, 16), write(), vecTo(events, event*len(p)), write())
}
