package app

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"potluck/server/guard"
)

// names are those that a server answers to: those that it was told, the one it
// listens on, localhost if it can be reached by that, and its machine's own if it
// listens to more than itself. None of them is a stranger's to give away.
func names(c Config, listener net.Listener) (all []string) {
	for _, name := range append([]string{c.URL, c.Addr}, c.Hosts...) {
		if u, err := url.Parse(name); err == nil && u.Host != "" {
			name = u.Host
		}
		if name = guard.HostName(name); name != "" {
			all = append(all, name)
		}
	}
	a, ok := listener.Addr().(*net.TCPAddr)
	if ok && (a.IP.IsLoopback() || a.IP.IsUnspecified()) {
		all = append(all, "localhost")
	}
	if machine, err := os.Hostname(); err == nil && ok && !a.IP.IsLoopback() {
		all = append(all, guard.HostName(machine))
	}
	return all
}

// checkNames says what is wrong with --url and --host.
func (c *Config) checkNames() error {
	if c.URL != "" {
		u, err := url.Parse(c.URL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
			return errors.New("--url is the address of the whole grid, like https://grid.example")
		}
	}
	for _, host := range c.Hosts {
		if _, err := netip.ParseAddr(host); err == nil {
			return fmt.Errorf("--host %s is not needed: the server answers to addresses anyway", host)
		}
		if host == "" || strings.ContainsAny(host, "/:*@ []") {
			return fmt.Errorf("--host is a name without a port, like grid.lan, not %q", host)
		}
	}
	return nil
}
