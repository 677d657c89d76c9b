package guard

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
)

// Address is what an address counts as: an IPv4 address as it is, of an IPv6
// address the network of 64 bits that its owner has to themselves.
func Address(text string) string {
	ip, err := netip.ParseAddr(text)
	if err != nil {
		return text
	}
	if ip = ip.Unmap().WithZone(""); ip.Is4() {
		return ip.String()
	}
	network, _ := ip.Prefix(64) // never fails for IPv6
	return network.String()
}

// Peer is the address that a request comes from.
func Peer(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// Forwarded is the address that a proxy of ours says a request comes from: what
// the proxy has added to X-Forwarded-For, which is the end of it. What stands
// before the client may have written. A request that comes from no loopback or
// private address is from no proxy of ours.
func Forwarded(r *http.Request) string {
	peer := Peer(r)
	proxy, err := netip.ParseAddr(peer)
	if err != nil || !ours(proxy.Unmap()) {
		return peer
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	last := strings.Trim(strings.TrimSpace(hops[len(hops)-1]), "[]")
	if _, err := netip.ParseAddr(last); err != nil {
		return peer
	}
	return last
}

func ours(ip netip.Addr) bool { return ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast() }

// A veil is a log that names addresses by a salted hash, wherever they occur:
// an address is personal data, and errors of connections are full of them. The
// salt is forgotten when the server ends.
type veil struct {
	slog.Handler
	salt []byte
}

// Veil hides addresses in what is logged.
func Veil(log *slog.Logger) *slog.Logger {
	salt := make([]byte, 32)
	_, _ = rand.Read(salt) // never fails
	return slog.New(veil{log.Handler(), salt})
}

func (v veil) Handle(ctx context.Context, r slog.Record) error {
	hidden := slog.NewRecord(r.Time, r.Level, v.hide(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool { hidden.AddAttrs(v.attr(a)); return true })
	return v.Handler.Handle(ctx, hidden)
}

func (v veil) WithAttrs(attrs []slog.Attr) slog.Handler {
	hidden := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		hidden[i] = v.attr(a)
	}
	return veil{v.Handler.WithAttrs(hidden), v.salt}
}

func (v veil) WithGroup(name string) slog.Handler { return veil{v.Handler.WithGroup(name), v.salt} }

func (v veil) attr(a slog.Attr) slog.Attr {
	value := a.Value.Resolve()
	switch value.Kind() {
	case slog.KindString:
		return slog.String(a.Key, v.hide(value.String()))
	case slog.KindAny:
		return slog.String(a.Key, v.hide(fmt.Sprint(value.Any())))
	case slog.KindGroup:
		inner := make([]slog.Attr, 0, len(value.Group()))
		for _, g := range value.Group() {
			inner = append(inner, v.attr(g))
		}
		return slog.Attr{Key: a.Key, Value: slog.GroupValue(inner...)}
	default: // numbers and times have none
		return a
	}
}

// candidates is what may be an address, with a port or without; the most is not.
var candidates = regexp.MustCompile(`\[[0-9A-Fa-f:.%a-z]+\](:\d+)?|[0-9A-Fa-f:.]{3,}`)

func (v veil) hide(text string) string {
	return candidates.ReplaceAllStringFunc(text, func(s string) string {
		whole := s
		s = strings.TrimRight(s, ".:")
		if strings.HasSuffix(whole, "::") {
			s += "::"
		}
		host, _, err := net.SplitHostPort(s)
		if err != nil {
			host = strings.Trim(s, "[]")
		}
		if _, err := netip.ParseAddr(host); err != nil {
			return whole
		}
		h := hmac.New(sha256.New, v.salt)
		h.Write([]byte(Address(host)))
		return "address-" + hex.EncodeToString(h.Sum(nil)[:6]) + whole[len(s):]
	})
}
