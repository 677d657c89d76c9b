package sandbox

import (
	"errors"
	"strings"
	"testing"
)

// A program's last words say what went wrong, however long its first ones were.
func TestErrHasTheLastLines(t *testing.T) {
	f := &Failure{Exit, "the program exited with code 1"}
	for stderr, want := range map[string]string{
		"":                    "the program exited with code 1",
		" \n":                 "the program exited with code 1",
		"a banner\nno luck\n": "the program exited with code 1: a banner\nno luck",
		"not \xff UTF-8":      "the program exited with code 1: not \uFFFD UTF-8",
		strings.Repeat("a banner\n", 1000) + "no luck": "the program exited with code 1: …" + strings.Repeat("a banner\n", (maxError-8)/9) + "no luck",
		strings.Repeat("ü", 1000):                      "the program exited with code 1: …" + strings.Repeat("ü", maxError/2),
	} {
		err := Outcome{Failure: f, Stderr: []byte(stderr)}.Err()
		if err.Error() != want || !errors.Is(err, f) {
			t.Errorf("%.40q: %q instead of %q", stderr, err, want)
		}
	}
}
