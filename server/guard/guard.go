// Package guard bounds what one stranger can take of the server: places,
// memory, and time while he hardly sends or hardly reads.
package guard

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/labstack/echo/v4"
)

// A Pace is how slow the other side may be: it has a while, and one more second
// for every Rate bytes. What is slower is cut off.
type Pace struct {
	While time.Duration
	Rate  int // bytes a second
}

// Usual is the pace of all requests.
var Usual = Pace{While: 30 * time.Second, Rate: 4 << 10}

// Slow cuts off who trickles a body, or does not read his answer.
func Slow(p Pace) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r, w := c.Request(), c.Response()
			control := http.NewResponseController(w.Writer)
			if r.ContentLength != 0 {
				r.Body = &body{ReadCloser: r.Body, pace: p, control: control, begun: time.Now()}
			}
			out := &writer{ResponseWriter: w.Writer, pace: p, control: control}
			w.Writer = out
			_ = control.SetWriteDeadline(time.Time{}) // that of the request before; a connection without deadlines has none to clear
			err := next(c)
			out.renew() // for what is still in the connection's buffer
			return err
		}
	}
}

// A body must come at a pace, from its first byte to its last.
type body struct {
	io.ReadCloser
	pace    Pace
	control *http.ResponseController
	begun   time.Time
	n       int
}

func (b *body) Read(p []byte) (int, error) {
	limit := b.begun.Add(b.pace.While + time.Duration(b.n)*time.Second/time.Duration(b.pace.Rate))
	if err := b.control.SetReadDeadline(limit); err != nil {
		return 0, err
	}
	n, err := b.ReadCloser.Read(p)
	b.n += n
	switch {
	case errors.Is(err, io.EOF):
		_ = b.control.SetReadDeadline(time.Time{}) // what follows on the connection has limits of its own
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, errSlow
	}
	return n, err
}

// errSlow answers a body that trickles.
var errSlow = echo.NewHTTPError(http.StatusRequestTimeout, "the body came too slowly: a body has 30 s and a second more for every 4 KiB of it")

// A writer gives each piece of an answer a while to be taken.
type writer struct {
	http.ResponseWriter
	pace    Pace
	control *http.ResponseController
}

// piece is how many bytes have to be taken in one while.
const piece = 256 << 10

func (w *writer) Write(data []byte) (done int, err error) {
	for first := true; first || done < len(data); first = false {
		w.renew()
		n, err := w.ResponseWriter.Write(data[done:min(len(data), done+piece)])
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

func (w *writer) renew() {
	_ = w.control.SetWriteDeadline(time.Now().Add(w.pace.While)) // see Slow
}

// Unwrap lets streams be flushed and sockets be taken over.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
