package gateway

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

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

// takeOutput stores an output that is too large for a message. Only who was
// lent the task may send one, and the name is the hash of the bytes.
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
	output, err := io.ReadAll(http.MaxBytesReader(c.Response(), c.Request().Body, int64(g.TaskOutput)))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return echo.NewHTTPError(http.StatusRequestEntityTooLarge, fmt.Sprintf("an output has at most %d bytes", g.TaskOutput))
	}
	if err != nil {
		return err
	}
	sum := sha256.Sum256(output)
	if hash := hex.EncodeToString(sum[:]); hash != c.Param("hash") {
		return echo.NewHTTPError(http.StatusUnprocessableEntity, "the bytes hash to "+hash+": send them again")
	}
	name := fmt.Sprintf("%s.out.%s", l.job, c.Param("hash"))
	if err := g.Ledger.PutObject(c.Request().Context(), name, bytes.NewReader(output)); err != nil {
		return err
	}
	return c.NoContent(http.StatusCreated)
}
