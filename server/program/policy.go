package program

import (
	"fmt"
	"strconv"
	"strings"

	"potluck/server/schedule"
)

// ParsePolicy reads the name of a trust policy: trusted, adaptive or strict:N.
func ParsePolicy(s string) (schedule.Policy, error) {
	kind, rest, more := strings.Cut(s, ":")
	p := schedule.Policy{Quorum: 1}
	switch {
	case kind == "trusted" && !more:
	case kind == "adaptive" && !more:
		p.Trust = schedule.Adaptive
	case kind == "strict" && more:
		n, err := strconv.Atoi(rest)
		if err != nil {
			return p, fmt.Errorf("policy %q is not known: use trusted, adaptive or strict:N", s)
		}
		p.Trust, p.Quorum = schedule.Strict, n
	default:
		return p, fmt.Errorf("policy %q is not known: use trusted, adaptive or strict:N", s)
	}
	return p, schedule.Config{Tasks: 1, Policy: p}.Validate()
}
