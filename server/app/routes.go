package app

import (
	"cmp"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"potluck/server/api"
	"potluck/server/guard"
	"potluck/server/ledger"
	"potluck/web"
	"potluck/wire"
)

// routes lays out everything that the server answers over HTTP.
func (a *App) routes(e *echo.Echo, c Config, metrics *prometheus.Registry) {
	e.HTTPErrorHandler = api.HandleError(a.log)
	e.IPExtractor = guard.Peer
	if c.BehindProxy {
		e.IPExtractor = guard.Forwarded
	}
	e.Use(middleware.RequestID(), middleware.Recover(), guard.Slow(guard.Usual), securityHeaders,
		guard.Hosts(names(c, a.listener), []string{"/healthz", "/readyz", "/metrics"}), sameOrigin(c.Origins), a.doors())
	e.GET("/healthz", func(c echo.Context) error { return c.String(http.StatusOK, "ok\n") })
	e.GET("/readyz", func(c echo.Context) error {
		if err := a.ledger.Healthy(c.Request().Context()); err != nil {
			return echo.NewHTTPError(http.StatusServiceUnavailable, cmp.Or(ledger.Trouble(err), err.Error()))
		}
		return c.String(http.StatusOK, "ready\n")
	})
	e.GET("/metrics", echo.WrapHandler(promhttp.HandlerFor(metrics, promhttp.HandlerOpts{})))
	a.gateway.Register(e)
	a.api.Register(e)
	e.Match([]string{http.MethodGet, http.MethodHead}, "/*", echo.WrapHandler(web.Handler()))
}

// The policy of our own pages. docs/operations.md says what each part is for.
const contentSecurityPolicy = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; " +
	"frame-src 'self'; connect-src 'self'; img-src 'self' blob: data:; style-src 'self'; manifest-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

func securityHeaders(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("Content-Security-Policy", contentSecurityPolicy)
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
		return next(c)
	}
}

// sameOrigin refuses what another site's page makes a browser send: whatever
// changes something, and workers' sockets.
func sameOrigin(others []string) echo.MiddlewareFunc {
	protection := http.NewCrossOriginProtection()
	for _, origin := range others {
		_ = protection.AddTrustedOrigin(origin) // Validate has tried
	}
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			if r.URL.Path == wire.SocketPath { // a GET that is worth as much as a POST
				r = &http.Request{Method: http.MethodPost, Host: r.Host, Header: r.Header, URL: r.URL}
			}
			if err := protection.Check(r); err != nil {
				return echo.NewHTTPError(http.StatusForbidden, "requests that change something may only come from this site's own pages")
			}
			return next(c)
		}
	}
}

// How many of the requests that take much of the server are served at a time,
// in all and of one address or token, and how long others wait for their turn.
// That is for each role: a token's owner waits for no stranger.
const (
	expensiveAll  = 16
	expensiveEach = 8
	expensiveWait = 10 * time.Second
)

// How many streams of events are open at a time, for each role and of one address
// or token. Nobody waits for one: they end when people leave.
const (
	streamsAll  = 8192
	streamsEach = 128
)

// smallBody is what a body in JSON may have, and one byte more, to see that it
// has more.
const smallBody = 64<<10 + 1

// viewer is who opens a stream of events. Admins, as people at the machine of an
// open grid are, have all of their role's.
func (a *App) viewer(c echo.Context) (role, viewer string) {
	role, viewer = a.api.Queue(c)
	if role == string(api.RoleAdmin) {
		viewer = ""
	}
	return role, viewer
}

// doors bounds the requests that run programs, hold much in memory or take long.
func (a *App) doors() echo.MiddlewareFunc {
	door := func() *guard.Doors {
		return &guard.Doors{All: expensiveAll, Each: expensiveEach, Wait: expensiveWait, Of: a.api.Queue}
	}
	jobs, bodies, transfers := door(), door(), door()
	whole := guard.Whole(smallBody)
	streams := &guard.Doors{All: streamsAll, Each: streamsEach, Of: a.viewer}
	doors := map[string]echo.MiddlewareFunc{}
	for _, route := range []string{"GET /api/v1/events", "GET /api/v1/grid/events", "GET /api/v1/jobs/:id/events"} {
		doors[route] = streams.Limit
	}
	for _, route := range []string{"POST /api/v1/jobs", "POST /api/v1/jobs/preview"} {
		doors[route] = func(next echo.HandlerFunc) echo.HandlerFunc { return whole(jobs.Limit(next)) }
	}
	for _, route := range []string{"POST /api/v1/modules", "POST /api/v1/inputs"} {
		doors[route] = bodies.Limit
	}
	for _, route := range []string{"GET /api/v1/modules/:id", "GET /api/v1/work/:job/inputs/:task", "PUT /api/v1/work/:job/outputs/:hash", "GET /api/v1/jobs/:id/tasks/:task/output"} {
		doors[route] = transfers.Limit
	}
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if door := doors[c.Request().Method+" "+c.Path()]; door != nil {
				return door(next)(c)
			}
			return next(c)
		}
	}
}
