package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"potluck/contract"
	"potluck/sandbox"
	"potluck/server/ledger"
)

// maxTokenName is how long the name of a token may be, in characters.
const maxTokenName = 40

// ListTokens lists tokens, without what they are made of.
func (a *API) ListTokens(c echo.Context) error {
	noStore(c)
	list := []Token{}
	for _, t := range a.Ledger.Tokens() {
		list = append(list, Token{ID: t.ID, Role: Role(t.Role), Name: t.Name, Created: t.Created, Expires: t.Expires, Used: t.Used})
	}
	return c.JSON(http.StatusOK, list)
}

// CreateToken makes a token and shows it, this once.
func (a *API) CreateToken(c echo.Context) error {
	noStore(c)
	body, err := readBody(c)
	if err != nil {
		return err
	}
	var wanted NewToken
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&wanted); err != nil {
		return refuse(http.StatusBadRequest, "the body is not a token to make: %v", err)
	}
	if err := wanted.check(); err != nil {
		return err
	}
	token, t := ledger.NewToken(ledger.Role(wanted.Role), wanted.Name, wanted.Expires.UTC())
	if err := a.Ledger.AddToken(c.Request().Context(), t); err != nil {
		return err
	}
	a.Log.Info("a token was made", "token", t.ID, "role", t.Role, "by", callerOf(c).owner())
	return c.JSON(http.StatusCreated, CreatedToken{
		ID: t.ID, Role: wanted.Role, Name: t.Name, Created: t.Created, Expires: t.Expires, Token: token,
	})
}

func (n *NewToken) check() error {
	switch {
	case !slices.Contains(ledger.Roles(), ledger.Role(n.Role)):
		return refuseField("/role", fmt.Errorf("a token is of role admin, submitter or runner, not %q", n.Role))
	case utf8.RuneCountInString(n.Name) > maxTokenName:
		return refuseField("/name", fmt.Errorf("the name of a token has at most %d characters", maxTokenName))
	case !contract.Plain(n.Name):
		return refuseField("/name", errors.New("the name of a token is one line, without control or format characters"))
	case !n.Expires.IsZero() && !n.Expires.After(time.Now()):
		return refuseField("/expires", errors.New("a token must not have expired before it is made"))
	}
	return nil
}

// RevokeToken ends a token.
func (a *API) RevokeToken(c echo.Context, id string) error {
	if err := a.Ledger.RevokeToken(c.Request().Context(), id); err != nil {
		return err
	}
	a.Log.Info("a token was revoked", "token", id, "by", callerOf(c).owner())
	return c.NoContent(http.StatusNoContent)
}

// ListApprovals lists the modules that everybody may publish and run.
func (a *API) ListApprovals(c echo.Context) error {
	ids, err := a.Ledger.Approvals(c.Request().Context())
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, ids)
}

// Approve lets everybody publish and run a module, whatever profile and memory
// limit it is published under: it is the source that is approved.
func (a *API) Approve(c echo.Context, id string) error {
	module, err := sandbox.ParseID(id)
	if err != nil {
		return refuse(http.StatusUnprocessableEntity, "%q is not the id of a module: it has 64 hexadecimal digits", id)
	}
	if m, err := a.Library.Info(c.Request().Context(), module); err == nil && m.Source != "" {
		module = m.Source
	}
	if err := a.Ledger.Approve(c.Request().Context(), module); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// Withdraw takes an approval back.
func (a *API) Withdraw(c echo.Context, id string) error {
	module, err := sandbox.ParseID(id)
	if err != nil {
		return fmt.Errorf("an approval of %q: %w", id, ledger.ErrNotFound)
	}
	if m, err := a.Library.Info(c.Request().Context(), module); err == nil && m.Source != "" {
		if approved, err := a.Ledger.Approved(c.Request().Context(), module); err == nil && !approved {
			module = m.Source
		}
	}
	if err := a.Ledger.Withdraw(c.Request().Context(), module); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
