package gateway

import (
	"context"

	"potluck/server/ledger"
	"potluck/wire"
)

// refusedToken answers a token that is not a runner's, or not any more.
var refusedToken = &wire.Refused{Code: wire.CodeToken, Reason: "the token is not one of a runner here: it is mistyped, has expired or was revoked, or is of another role"}

// trusts says whether a token is good and a runner's.
func (g *Gateway) trusts(token string) bool {
	t, err := g.Ledger.CheckToken(token)
	return err == nil && t.Role == ledger.RoleRunner
}

// revoked says whether the token that a session came with is good no more, and
// refuses it then. It is asked before each message of the worker counts for
// anything, and with each ping.
func (s *session) revoked(ctx context.Context) bool {
	if s.token == "" || s.gateway.trusts(s.token) {
		return false
	}
	s.refuse(ctx, refusedToken)
	return true
}
