package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/coder/websocket"

	"potluck/wire"
)

// A link is the connection of one session as the loop sees it.
type link struct {
	outgoing chan wire.FromWorker // one message at a time: more waits in the loop, and is batched there
	busy     bool                 // a message is being written
	received uint64               // leases
	credit   uint64               // as last told
	drained  bool                 // the gateway goes; nothing more is asked of it
	end      context.CancelFunc
}

// session connects once and stays until the connection ends. greeted says that
// the grid took the worker.
func (a *Agent) session(ctx context.Context) (greeted bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	url := "ws" + strings.TrimPrefix(strings.TrimSuffix(a.Server, "/"), "http") + wire.SocketPath
	conn, _, err := websocket.Dial(ctx, url, nil) //nolint:bodyclose // the library closes it
	if err != nil {
		return false, fmt.Errorf("connect: %w", err)
	}
	defer conn.CloseNow() //nolint:errcheck // whatever is left of it
	conn.SetReadLimit(wire.MaxMessage)
	if err := greet(ctx, conn, a.Hello); err != nil {
		return false, err
	}
	l := &link{outgoing: make(chan wire.FromWorker, 1), end: cancel}
	a.tell(func() { a.connected(l) })
	go a.writeAll(ctx, conn, l)
	for {
		m, err := read(ctx, conn)
		if err != nil {
			return true, err
		}
		a.tell(func() { a.hear(l, m) })
	}
}

// greet says hello and waits to be welcome.
func greet(ctx context.Context, conn *websocket.Conn, h wire.Hello) error {
	h.Protocol = wire.Protocol
	if err := write(ctx, conn, wire.FromWorker{Hello: &h}); err != nil {
		return err
	}
	m, err := read(ctx, conn)
	if err == nil && m.Welcome == nil {
		err = errors.New("the grid did not welcome this worker")
	}
	return err
}

// deadAfter is how long a connection may be silent: the gateway says something
// every 30 seconds.
const deadAfter = 90 * time.Second

func read(ctx context.Context, conn *websocket.Conn) (m wire.ToWorker, err error) {
	ctx, cancel := context.WithTimeout(ctx, deadAfter)
	defer cancel()
	_, data, err := conn.Read(ctx)
	if err != nil {
		return m, err
	}
	if err := wire.Decode(data, &m); err != nil {
		return m, err
	}
	if m.Refused != nil {
		return m, &RefusedError{*m.Refused}
	}
	return m, nil
}

func write(ctx context.Context, conn *websocket.Conn, m wire.FromWorker) error {
	data, err := wire.Encode(m)
	if err != nil {
		return err
	}
	return conn.Write(ctx, websocket.MessageBinary, data)
}

func (a *Agent) writeAll(ctx context.Context, conn *websocket.Conn, l *link) {
	defer l.end()
	for {
		select {
		case m := <-l.outgoing:
			if write(ctx, conn, m) != nil {
				return
			}
			if m.Bye {
				_ = conn.Close(websocket.StatusNormalClosure, "bye") // it may be gone already
				return
			}
			a.tell(func() { l.busy = false })
		case <-ctx.Done():
			return
		}
	}
}
