package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"potluck/server/dispatch"
	"potluck/server/ledger"
	"potluck/wire"
)

// serveInput gives the input of a task that is too large for a message. The
// lease has its hash.
func (g *Gateway) serveInput(c echo.Context) error {
	j, err := g.Ledger.Job(c.Param("job"))
	if err != nil {
		return err
	}
	task, err := strconv.Atoi(c.Param("task"))
	if err != nil {
		return fmt.Errorf("task %q: %w", c.Param("task"), ledger.ErrNotFound)
	}
	input, err := g.Ledger.OpenChunks(j.Inputs).Get(c.Request().Context(), task)
	if err != nil {
		return err
	}
	return c.Blob(http.StatusOK, echo.MIMEOctetStream, input)
}

// takeOutput stores an output that is too large for a message. Who was lent a task
// may send one, while the lease lasts, and the name is the hash of the bytes.
func (g *Gateway) takeOutput(c echo.Context) error {
	data, err := hex.DecodeString(c.Request().Header.Get(wire.LeaseHeader))
	volunteer := c.Request().Header.Get(wire.VolunteerHeader)
	l, ok := g.verify(data, volunteer)
	if err != nil || !ok || l.job != c.Param("job") {
		return echo.NewHTTPError(http.StatusForbidden, "outputs come with the lease that they answer, in the header "+wire.LeaseHeader)
	}
	if j, err := g.Ledger.Job(l.job); err != nil || j.State.Final() {
		return echo.NewHTTPError(http.StatusGone, "the job is over")
	}
	hash, err := hex.DecodeString(c.Param("hash"))
	if err != nil || len(hash) != sha256.Size {
		return echo.NewHTTPError(http.StatusUnprocessableEntity, "an output goes by its SHA-256, 64 hexadecimal digits")
	}
	length := c.Request().ContentLength
	if length > int64(g.TaskOutput) {
		return tooLarge(g.TaskOutput)
	}
	if length < 0 {
		length = int64(g.TaskOutput) // as much as may come
	}
	deposit := dispatch.Deposit{Person: dispatch.Person{ID: volunteer}, Task: l.task, Hash: hash, Bytes: length}
	if err := g.deposit(c.Request().Context(), c, l.job, deposit); err != nil {
		return err
	}
	output, err := io.ReadAll(http.MaxBytesReader(c.Response(), c.Request().Body, int64(g.TaskOutput)))
	if _, more := errors.AsType[*http.MaxBytesError](err); more {
		return tooLarge(g.TaskOutput)
	}
	if err != nil {
		return err
	}
	sum := sha256.Sum256(output)
	if hash := hex.EncodeToString(sum[:]); hash != c.Param("hash") {
		return echo.NewHTTPError(http.StatusUnprocessableEntity, "the bytes hash to "+hash+": send them again")
	}
	if err := g.storeOutput(c.Request().Context(), ledger.OutputObject(l.job, hash), output); err != nil {
		return err
	}
	deposit.Stored = true
	// The lease may have ended meanwhile, and what nobody hears of stays: also that of
	// who has hung up is said.
	if err := g.deposit(context.WithoutCancel(c.Request().Context()), c, l.job, deposit); err != nil {
		return err
	}
	return c.NoContent(http.StatusCreated)
}

// storeOutput stores an output, unless an equal one is there.
func (g *Gateway) storeOutput(ctx context.Context, name string, output []byte) error {
	has, err := g.Ledger.HasObject(ctx, name)
	if err != nil || has {
		return err
	}
	return g.Ledger.PutObject(ctx, name, bytes.NewReader(output))
}

// deposit asks the owner of the job whether an output may be stored.
func (g *Gateway) deposit(ctx context.Context, c echo.Context, job string, d dispatch.Deposit) error {
	busy := func(code int, text string) error {
		c.Response().Header().Set(echo.HeaderRetryAfter, "5")
		return echo.NewHTTPError(code, text)
	}
	o, ok, _ := g.offer(job)
	if !ok {
		return busy(http.StatusServiceUnavailable, "no server works on the job at the moment: send the output again")
	}
	said, err := g.foremen.Deposit(ctx, o, d)
	switch {
	case errors.Is(err, dispatch.ErrNobody):
		return busy(http.StatusServiceUnavailable, "the job goes to another server: send the output again")
	case err != nil:
		return err
	case said.Ended:
		return echo.NewHTTPError(http.StatusGone, "the lease has ended: nobody waits for this output")
	case said.Full:
		return busy(http.StatusTooManyRequests, "as many outputs of this job are stored as may wait for their results, or for others' results: send it again when some are accepted")
	}
	return nil
}

func tooLarge(most int) error {
	return echo.NewHTTPError(http.StatusRequestEntityTooLarge, fmt.Sprintf("an output has at most %d bytes", most))
}
