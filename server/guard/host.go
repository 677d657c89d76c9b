package guard

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
)

// Hosts answers requests only for the names given, and for addresses as they
// are. A page of another name that a browser was told is this machine's (DNS
// rebinding) counts as ours to the browser: the Host header is all that tells.
// Paths that are excepted answer to any name.
func Hosts(names, excepted []string) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			if name := HostName(r.Host); !isAddress(name) && !slices.Contains(names, name) && !slices.Contains(excepted, r.URL.Path) {
				return echo.NewHTTPError(http.StatusMisdirectedRequest, fmt.Sprintf(
					"this server does not answer to the name %.80q: if that is its own, start it with --url and the address that people use, like https://grid.example, or with --host for a further name", name))
			}
			return next(c)
		}
	}
}

// HostName is the host of a Host header or a URL as names are compared: without
// its port, the dot at its end and the brackets of an address, in lower case.
func HostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}
