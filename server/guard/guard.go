// Package guard bounds what one stranger can take of the server: places,
// memory, and time while they hardly send or hardly read.
package guard

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/labstack/echo/v4"
)

// A Pace is how slow the other side may be: it may keep us waiting for a while,
// and with every Rate bytes for one more second, but never for longer than a
// while at a time. What is slower is cut off. Only waiting counts, not what we do
// ourselves.
type Pace struct {
	While time.Duration
	Rate  int // bytes a second
}

// Usual is the pace of all requests.
var Usual = Pace{While: 30 * time.Second, Rate: 16 << 10}

// Slow cuts off who trickles a body, or does not read their answer.
func Slow(p Pace) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r, w := c.Request(), c.Response()
			control := http.NewResponseController(w.Writer)
			if r.ContentLength != 0 {
				r.Body = &body{ReadCloser: r.Body, patience: patience{Pace: p, left: p.While}, control: control}
			}
			out := &writer{ResponseWriter: w.Writer, patience: patience{Pace: p, left: p.While}, control: control}
			w.Writer = out
			_ = control.SetWriteDeadline(time.Time{}) // that of the request before; a connection without deadlines has none to clear
			err := next(c)
			_ = control.SetWriteDeadline(out.until()) // for what is still in the connection's buffer
			return err
		}
	}
}

// A patience is what is left of the time that the other side may take.
type patience struct {
	Pace
	left time.Duration
}

// until is when it ends, if nothing comes.
func (p *patience) until() time.Time { return time.Now().Add(p.left) }

// moved says that n bytes have gone after so long a wait.
func (p *patience) moved(n int, waited time.Duration) {
	p.left = min(p.While, p.left-waited+time.Duration(n)*time.Second/time.Duration(p.Rate))
}

// A body must come at a pace, from its first byte to its last.
type body struct {
	io.ReadCloser
	patience
	control *http.ResponseController
}

func (b *body) Read(p []byte) (int, error) {
	if err := b.control.SetReadDeadline(b.until()); err != nil {
		return 0, err
	}
	begun := time.Now()
	n, err := b.ReadCloser.Read(p)
	b.moved(n, time.Since(begun))
	switch {
	case errors.Is(err, io.EOF):
		_ = b.control.SetReadDeadline(time.Time{}) // what follows on the connection has limits of its own
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, errSlow
	}
	return n, err
}

// errSlow answers a body that trickles.
var errSlow = echo.NewHTTPError(http.StatusRequestTimeout, "the body came too slowly: it may pause for 30 s, and has to come at 16 KiB a second on average")

// A writer wants an answer to be taken at a pace.
type writer struct {
	http.ResponseWriter
	patience
	control *http.ResponseController
}

// piece is how many bytes are written at a time: so few that their time is less
// than a while.
const piece = 256 << 10

func (w *writer) Write(data []byte) (done int, err error) {
	for first := true; first || done < len(data); first = false {
		n, err := w.timed(func() (int, error) { return w.ResponseWriter.Write(data[done:min(len(data), done+piece)]) })
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// FlushError writes what is buffered.
func (w *writer) FlushError() error {
	_, err := w.timed(func() (int, error) { return 0, w.control.Flush() })
	return err
}

func (w *writer) timed(write func() (int, error)) (n int, err error) {
	_ = w.control.SetWriteDeadline(w.until()) // see Slow
	begun := time.Now()
	n, err = write()
	w.moved(n, time.Since(begun))
	return n, err
}

// Whole reads a body of up to so many bytes before what follows begins: nobody
// holds a place while it trickles in. Of a larger one what follows reads the rest.
func Whole(limit int64) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			begin, err := io.ReadAll(io.LimitReader(r.Body, limit))
			if err != nil {
				return err
			}
			r.Body = struct {
				io.Reader
				io.Closer
			}{io.MultiReader(bytes.NewReader(begin), r.Body), r.Body}
			return next(c)
		}
	}
}

// Unwrap lets streams be flushed and sockets be taken over.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
