package api

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"potluck/sandbox"
	"potluck/server/guard"
	"potluck/server/ledger"
)

// needs says for each operation that is not open to all what a caller must be
// at least. Whose job it is, and what a module is, is looked at later.
var needs = map[string]Role{
	"createJob":    RoleAnonymous,
	"previewJob":   RoleAnonymous,
	"createModule": RoleAnonymous,
	"createInput":  RoleSubmitter,
	"changeJob":    RoleSubmitter,
	"deleteJob":    RoleSubmitter,
	"approve":      RoleAdmin,
	"withdraw":     RoleAdmin,
	"listTokens":   RoleAdmin,
	"createToken":  RoleAdmin,
	"revokeToken":  RoleAdmin,
	"pardon":       RoleAdmin,
}

// guards has every operation that needs something look at its caller first.
func (a *API) guards() map[string][]echo.MiddlewareFunc {
	all := map[string][]echo.MiddlewareFunc{}
	for operation, need := range needs {
		all[operation] = []echo.MiddlewareFunc{a.guard(need)}
	}
	return all
}

func (a *API) guard(need Role) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			p, err := a.identify(c)
			if err == nil {
				err = a.allow(p, need)
			}
			if err != nil {
				return err
			}
			c.Set(callerKey, p)
			return next(c)
		}
	}
}

// A caller is who wants to change something.
type caller struct {
	role    Role
	token   *ledger.Token // nil without one
	address string
}

const callerKey = "caller"

// callerOf gives the caller whom a guard has let in.
func callerOf(c echo.Context) caller {
	p, ok := c.Get(callerKey).(caller)
	if !ok {
		return caller{role: RoleAnonymous, address: c.RealIP()}
	}
	return p
}

// owner is how the caller is noted in what is theirs.
func (p caller) owner() string {
	switch {
	case p.role == RoleAnonymous:
		return ledger.Anonymous
	case p.token != nil:
		return p.token.ID
	}
	return ""
}

// account is whose turns the caller takes in the sandbox. Those without a token
// share the turns of one owner, by their addresses.
func (p caller) account() sandbox.Account {
	if p.role == RoleAnonymous {
		return sandbox.Account{Owner: p.owner(), Job: home(p.address)}
	}
	return sandbox.Account{Owner: p.owner()}
}

// Queue says by which role a request stands in line, and as whose it counts
// there. Whose token is not good stands with the strangers.
func (a *API) Queue(c echo.Context) (role, caller string) {
	if a.Open && direct(c.Request()) {
		return string(RoleAdmin), "this machine"
	}
	if t, err := a.Ledger.CheckToken(presented(c.Request())); err == nil {
		return string(t.Role), t.ID
	}
	return string(RoleAnonymous), guard.Address(c.RealIP())
}

// identify finds out who the caller is. A token that is not good is an error.
func (a *API) identify(c echo.Context) (caller, error) {
	p := caller{role: RoleAnonymous, address: c.RealIP()}
	if a.Open && direct(c.Request()) {
		p.role = RoleAdmin
		return p, nil
	}
	given := presented(c.Request())
	if given == "" {
		return p, nil
	}
	t, err := a.Ledger.CheckToken(given)
	if err != nil {
		return p, refuse(http.StatusUnauthorized, "%v. Ask whoever runs the grid for another one, and log in with it or give it with --token-file", err)
	}
	if err := a.Ledger.TouchToken(c.Request().Context(), t); err != nil {
		a.Log.Warn("could not note that a token was used", "token", t.ID, "error", err)
	}
	p.role, p.token = Role(t.Role), t
	return p, nil
}

// direct says whether a request comes from this machine itself, to a server
// that listens to nothing else, as far as can be told. What a proxy that
// somebody put in front of it passes on does not, nor a page of another name
// that a browser was told is this machine's.
func direct(r *http.Request) bool {
	if r.Header.Get(echo.HeaderXForwardedFor) != "" || r.Header.Get("Forwarded") != "" {
		return false
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		if u, err := url.Parse(origin); err != nil || !local(u.Host) {
			return false
		}
	}
	return local(r.Host)
}

// local says whether a host is this machine, by a name that is nobody else's.
func local(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if host == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && address.IsLoopback()
}

// cookieName is the cookie that holds a browser's token.
const cookieName = "potluck_token"

// presented gives the token of a request, "" if there is none.
func presented(r *http.Request) string {
	if token, ok := strings.CutPrefix(r.Header.Get(echo.HeaderAuthorization), "Bearer "); ok {
		return strings.TrimSpace(token)
	}
	if cookie, err := r.Cookie(cookieName); err == nil {
		return cookie.Value
	}
	return ""
}

const howToGetIn = "log in, or give a token with --token-file or POTLUCK_TOKEN; whoever runs the grid makes one with: potluck token create --role submitter"

// allow says why a caller may not do something, nil if they may.
func (a *API) allow(p caller, need Role) error {
	switch {
	case p.role == RoleAdmin || p.role == need && need == RoleSubmitter:
		return nil
	case p.role == RoleRunner:
		return refuse(http.StatusForbidden, "the token is a runner's: it lets potluck-worker compute and nothing else. Take one of a submitter")
	case need == RoleAnonymous && (p.role == RoleSubmitter || a.Anonymous):
		return nil
	case p.role == RoleSubmitter:
		return refuse(http.StatusForbidden, "only admins may do this, and the token is a submitter's: take one of an admin")
	case a.Open:
		return refuse(http.StatusUnauthorized, "this server listens to its own machine only, and this request came through a proxy or by another name: start it with --behind-proxy, and take a token")
	case need == RoleAnonymous:
		return refuse(http.StatusUnauthorized, "this grid takes jobs only from those whom it knows: "+howToGetIn)
	}
	return refuse(http.StatusUnauthorized, "this grid wants to know who does this: "+howToGetIn)
}

// mayChange says why a caller may not change a job, nil if they may.
func (p caller) mayChange(j *ledger.Job) error {
	if p.role == RoleAdmin || p.role == RoleSubmitter && j.Owner == p.owner() {
		return nil
	}
	return refuse(http.StatusForbidden, "job %s is not yours: only who submitted it and admins may change it", j.ID)
}

// mayRun says why a caller may not publish or run a module that goes by these
// names, nil if they may.
func (a *API) mayRun(ctx context.Context, p caller, names ...sandbox.ID) error {
	if p.role != RoleAnonymous {
		return nil
	}
	approved, err := a.approved(ctx, names...)
	if err == nil && !approved {
		err = refuse(http.StatusUnauthorized, "module %s is not approved here, and without a token only approved programs may run: %s. Or have an admin say: potluck approve %s", names[0], howToGetIn, names[0])
	}
	return err
}

// approved says whether everybody may run a module. An approval names its source
// or, if it is older than profiles, the module as it was published.
func (a *API) approved(ctx context.Context, names ...sandbox.ID) (bool, error) {
	for _, b := range a.Library.Builtins() {
		if slices.Contains(names, b.ID) {
			return true, nil
		}
	}
	for _, name := range names {
		if name == "" {
			continue
		}
		if approved, err := a.Ledger.Approved(ctx, name); err != nil || approved {
			return approved, err
		}
	}
	return false, nil
}

// names are what an approval may know a module by.
func names(m *ledger.Module) []sandbox.ID {
	if m.Source == "" {
		return []sandbox.ID{m.ID}
	}
	return []sandbox.ID{m.Source, m.ID}
}
