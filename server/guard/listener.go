package guard

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// A Listener has so many connections at a time, so many of them of one address.
// One more is closed as soon as it comes: what is left of the machine's file
// descriptors is for the server's own files and for others.
type Listener struct {
	net.Listener
	All, Each int
	// Shared says that connections from loopback and private addresses are a
	// proxy's, and have many people behind them: only All bounds those.
	Shared bool
	Log    *slog.Logger

	mu   sync.Mutex
	open int
	of   map[string]int // by address
	said map[string]time.Time
}

// Accept gives the next connection that there is room for.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
			l.say("no file can be opened: connections wait until some are closed. Allow the server more (ulimit -n, or LimitNOFILE in a unit of systemd)", "error", err)
		}
		if err != nil {
			return nil, err // the server tries again where that helps
		}
		if address := l.counts(conn); l.enter(address) {
			return &counted{Conn: conn, leave: sync.OnceFunc(func() { l.leave(address) })}, nil
		}
		_ = conn.Close() // nothing was said on it yet
	}
}

// counts is what a connection counts as: "" if that does not matter.
func (l *Listener) counts(conn net.Conn) string {
	host, _, _ := net.SplitHostPort(conn.RemoteAddr().String()) // else it is no network's
	if ip, err := netip.ParseAddr(host); l.Shared && err == nil && ours(ip.Unmap()) {
		return ""
	}
	return Address(host)
}

func (l *Listener) enter(address string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of == nil {
		l.of = map[string]int{}
	}
	switch {
	case l.open >= l.All:
		l.tell("there are as many connections as may be: others are closed. Allow the server more files (ulimit -n, or LimitNOFILE in a unit of systemd)", "connections", l.open)
		return false
	case address != "" && l.of[address] >= l.Each:
		l.tell("an address has as many connections as it may have: others of it are closed", "address", address, "connections", l.Each)
		return false
	}
	l.open++
	l.of[address]++
	return true
}

func (l *Listener) leave(address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if l.of[address]--; l.of[address] == 0 {
		delete(l.of, address)
	}
}

func (l *Listener) say(what string, more ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tell(what, more...)
}

// sayEvery is how often the same trouble is logged.
const sayEvery = time.Minute

// tell logs a trouble now and then. The lock is held.
func (l *Listener) tell(what string, more ...any) {
	if time.Since(l.said[what]) < sayEvery {
		return
	}
	if l.said == nil {
		l.said = map[string]time.Time{}
	}
	l.said[what] = time.Now()
	l.Log.Error("connections are not taken", append([]any{"why", what}, more...)...)
}

// A counted connection says when it is over.
type counted struct {
	net.Conn
	leave func()
}

// Close closes the connection.
func (c *counted) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
