package terminal_test

import (
	"fmt"
	"strings"
	"testing"

	"potluck/client/terminal"
)

func TestPlain(t *testing.T) {
	for text, want := range map[string]string{
		"Größe, 大きさ:\t3\n":        "Größe, 大きさ:\t3\n",
		"\x1b[2Jgone":             "\uFFFD[2Jgone",
		"\x1b]0;title\a":          "\uFFFD]0;title\uFFFD",
		"over\rwritten":           "over\uFFFDwritten",
		"eight bits: \xc2\x9b2J":  "eight bits: \uFFFD2J",
		"not UTF-8: \x9b2J":       "not UTF-8: \uFFFD2J",
		"backwards: \u202etxet":   "backwards: \uFFFDtxet",
		"rubbed out\x7f\b\x00":    "rubbed out\uFFFD\uFFFD\uFFFD",
		"emoji \U0001F469\u200d🔬": "emoji \U0001F469\u200d🔬",
	} {
		var b strings.Builder
		if n, err := fmt.Fprint(terminal.Plain(&b), text); n != len(text) || err != nil || b.String() != want {
			t.Errorf("%q is written as %q: %d, %v", text, b.String(), n, err)
		}
	}
}
