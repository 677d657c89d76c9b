package e2e

import (
	"os/exec"
	"strings"
	"testing"
)

// Liars among the runners are found out, and the picture is the right one, as
// make demo-sabotage shows it.
func TestSabotage(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "run", "potluck/scripts/sabotage", "-bin", bin).CombinedOutput()
	if err != nil || strings.Count(string(out), "is in quarantine.") != 6 {
		t.Fatalf("%v\n%s", err, out)
	}
}
