package app

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"potluck/server/api"
	"potluck/server/guard"
	"potluck/web"
	"potluck/wire"
)

// routes lays out everything that the server answers over HTTP.
func (a *App) routes(e *echo.Echo, c Config, metrics *prometheus.Registry) {
	e.HTTPErrorHandler = api.HandleError(a.log)
	e.IPExtractor = echo.ExtractIPDirect()
	if c.BehindProxy {
		e.IPExtractor = echo.ExtractIPFromXFFHeader()
	}
	e.Use(middleware.RequestID(), middleware.Recover(), guard.Slow(guard.Usual), securityHeaders,
		guard.Hosts(names(c, a.listener), []string{"/healthz", "/readyz", "/metrics"}), sameOrigin(c.Origins), expensive())
	e.GET("/healthz", func(c echo.Context) error { return c.String(http.StatusOK, "ok\n") })
	e.GET("/readyz", func(c echo.Context) error {
		if err := a.ledger.Healthy(c.Request().Context()); err != nil {
			return echo.NewHTTPError(http.StatusServiceUnavailable, err.Error())
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
// in all and of one address, and how long others wait for their turn.
const (
	expensiveAll  = 16
	expensiveEach = 8
	expensiveWait = 10 * time.Second
)

// expensive bounds the requests that run programs or hold much in memory.
func expensive() echo.MiddlewareFunc {
	submit := &guard.Door{All: expensiveAll, Each: expensiveEach, Wait: expensiveWait}
	transfer := &guard.Door{All: expensiveAll, Each: expensiveEach, Wait: expensiveWait}
	doors := map[string]*guard.Door{
		"POST /api/v1/modules": submit, "POST /api/v1/jobs": submit, "POST /api/v1/jobs/preview": submit, "POST /api/v1/inputs": submit,
		"GET /api/v1/modules/:id": transfer, "GET /api/v1/work/:job/inputs/:task": transfer, "PUT /api/v1/work/:job/outputs/:hash": transfer,
	}
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if door := doors[c.Request().Method+" "+c.Path()]; door != nil {
				return door.Limit(next)(c)
			}
			return next(c)
		}
	}
}
