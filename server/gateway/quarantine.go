package gateway

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"potluck/server/ledger"
	"potluck/server/schedule"
	"potluck/wire"
)

// hearReputation sends those away who are in quarantine now.
func (g *Gateway) hearReputation(volunteer string, r ledger.Reputation) {
	if r.Standing != schedule.Quarantined {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.sessions {
		if s.person.ID == volunteer {
			select {
			case s.caught <- r.Reason:
			default: // they have been told
			}
		}
	}
}

func quarantined(why string) *wire.Refused {
	return &wire.Refused{Code: wire.CodeQuarantine, Reason: "this volunteer gets no more work: " + why +
		". Honest results are the same on every machine, bit for bit: if nobody tampered with it, its memory or processor makes mistakes"}
}

// unreliable says in words why a volunteer gets little work or none, "" if that
// is not so.
func unreliable(r ledger.Reputation, now time.Time) string {
	tasks, until := r.Limit(now.UnixMicro())
	switch {
	case r.Standing != schedule.Quarantined && tasks == 0:
		wait := time.UnixMicro(until).Sub(now).Round(time.Minute)
		return fmt.Sprintf("the last tasks failed here or ran out of time, and others could do them: the next one comes in about %v", max(wait, time.Minute))
	case tasks == 1:
		return "the last tasks failed here or ran out of time, and others could do them: until some succeed there is one at a time"
	}
	return ""
}

// network stands for the network of an address in a way that does not tell the
// address; 0 for this machine, whose volunteers are the operator's.
func (g *Gateway) network(address string) uint32 {
	a, err := netip.ParseAddr(address)
	if err != nil || a.Unmap().IsLoopback() {
		return 0
	}
	bits := g.NetworkV6
	if a = a.Unmap(); a.Is4() {
		bits = g.NetworkV4
	}
	prefix, err := a.Prefix(bits)
	if err != nil {
		return 0
	}
	return max(1, binary.LittleEndian.Uint32(g.mac([]byte("network"), prefix.String())))
}
