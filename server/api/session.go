package api

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"potluck/server/ledger"
)

// loginTime is how long a browser stays logged in, unless its token ends earlier.
const loginTime = 30 * 24 * time.Hour

// noStore keeps an answer out of every cache.
func noStore(c echo.Context) { c.Response().Header().Set(echo.HeaderCacheControl, "no-store") }

// GetSession says who the caller is. A token that is good no more is none.
func (a *API) GetSession(c echo.Context) error {
	noStore(c)
	p, err := a.identify(c)
	if err != nil {
		setCookie(c, "", -1)
	}
	return c.JSON(http.StatusOK, a.viewSession(p))
}

func (a *API) viewSession(p caller) Session {
	s := Session{Role: p.role, Open: a.Open, Anonymous: a.Anonymous, Policy: a.usualPolicy()}
	if p.token != nil {
		s.ID, s.Name, s.Expires = p.token.ID, p.token.Name, p.token.Expires
	}
	return s
}

// CreateSession logs a browser in. The cookie holds the token itself, so that
// there is nothing else to keep, and to revoke.
func (a *API) CreateSession(c echo.Context) error {
	noStore(c)
	body, err := readBody(c)
	if err != nil {
		return err
	}
	var login Login
	if err := json.Unmarshal(body, &login); err != nil {
		return refuse(http.StatusBadRequest, "the body is not a login: send {\"token\": \"potluck_…\"}")
	}
	token := strings.TrimSpace(login.Token)
	t, err := a.Ledger.CheckToken(token)
	if err != nil {
		return refuse(http.StatusUnauthorized, "%v", err)
	}
	if t.Role == ledger.RoleRunner {
		return refuse(http.StatusForbidden, "this token is a runner's: give it to potluck-worker, or to the page where a tab computes; one does not log in with it")
	}
	stay := loginTime
	if !t.Expires.IsZero() {
		stay = min(stay, time.Until(t.Expires))
	}
	setCookie(c, token, int(stay.Seconds()))
	return c.JSON(http.StatusOK, a.viewSession(caller{role: Role(t.Role), token: t}))
}

// DeleteSession logs a browser out.
func (a *API) DeleteSession(c echo.Context) error {
	noStore(c)
	setCookie(c, "", -1)
	return c.NoContent(http.StatusNoContent)
}

// setCookie sets the cookie for so many seconds, or removes it with -1. No
// script can read it, and no other site's page can have it sent.
func setCookie(c echo.Context, token string, seconds int) {
	c.SetCookie(&http.Cookie{ //nolint:gosec // Secure wherever the page itself is
		Name: cookieName, Value: token, Path: "/api", MaxAge: seconds,
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: c.Scheme() == "https",
	})
}
