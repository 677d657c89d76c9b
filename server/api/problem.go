package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"potluck/server/dispatch"
	"potluck/server/ledger"
	"potluck/server/library"
	"potluck/server/program"
)

// A refusal is an error that is the caller's to mend.
type refusal struct {
	status int
	detail string
	fields []FieldProblem
}

func (r *refusal) Error() string { return r.detail }

func refuse(status int, format string, args ...any) error {
	return &refusal{status: status, detail: fmt.Sprintf(format, args...)}
}

// refuseField refuses one field of a body.
func refuseField(field string, err error) error {
	return &refusal{
		status: http.StatusUnprocessableEntity, detail: err.Error(),
		fields: []FieldProblem{{Field: field, Message: err.Error()}},
	}
}

// HandleError answers every error of the server as application/problem+json.
func HandleError(log *slog.Logger) echo.HTTPErrorHandler {
	return func(err error, c echo.Context) {
		if c.Response().Committed || errors.Is(err, context.Canceled) {
			return
		}
		p := problem(err)
		p.RequestID = c.Response().Header().Get(echo.HeaderXRequestID)
		if p.Status >= http.StatusInternalServerError {
			log.Error("a request failed", "method", c.Request().Method, "path", c.Path(), "error", err, "request_id", p.RequestID)
		}
		if p.Status == http.StatusUnauthorized {
			c.Response().Header().Set(echo.HeaderWWWAuthenticate, `Bearer realm="potluck"`)
		}
		c.Response().Header().Set(echo.HeaderContentType, "application/problem+json")
		if c.Request().Method == http.MethodHead {
			_ = c.NoContent(p.Status) // nobody listens any more
			return
		}
		_ = c.JSON(p.Status, p) // likewise
	}
}

// problem says what of an error is the caller's business.
func problem(err error) Problem {
	status, detail := http.StatusInternalServerError, "something went wrong on the server; its log knows more under the request id"
	var fields []FieldProblem
	var refused *refusal
	var params *program.ParamsError
	var invalid *library.Invalid
	var tooLarge *http.MaxBytesError
	var fault *dispatch.Fault
	var he *echo.HTTPError
	switch {
	case errors.As(err, &refused):
		status, detail, fields = refused.status, refused.detail, refused.fields
	case errors.As(err, &params):
		status, detail = http.StatusUnprocessableEntity, params.Error()
		for _, f := range params.Fields {
			fields = append(fields, FieldProblem{Field: "/params" + f.Field, Message: f.Message})
		}
	case errors.As(err, &fault):
		status, detail = http.StatusConflict, fault.Words
	case errors.As(err, &invalid):
		status, detail = http.StatusUnprocessableEntity, invalid.Error()
	case errors.As(err, &tooLarge):
		status, detail = http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than the %d bytes that are allowed here", tooLarge.Limit)
	case errors.Is(err, ledger.ErrNotFound):
		status, detail = http.StatusNotFound, strings.ReplaceAll(err.Error(), ": not found", " is not known here")
	case errors.Is(err, dispatch.ErrNobody):
		status, detail = http.StatusServiceUnavailable, "the job is being taken over by a server; ask again in a moment"
	case errors.As(err, &he):
		status, detail = he.Code, fmt.Sprint(he.Message)
	case ledger.Trouble(err) != "":
		status, detail = http.StatusServiceUnavailable, ledger.Trouble(err)
		if detail == ledger.ErrFull.Error() || detail == ledger.ErrDisk.Error() {
			status = http.StatusInsufficientStorage
		}
	}
	return Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail, Errors: fields}
}
