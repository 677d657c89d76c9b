package program

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestExcerpt(t *testing.T) {
	for input, want := range map[string]string{
		"":                             "",
		"oops\n":                       "oops",
		"a,1\r\nb,2\n":                 "a,1  b,2",
		"größer":                       "größer",
		"\x1b[2Jgone":                  "\uFFFD[2Jgone",
		"\u202etxet":                   "\uFFFDtxet",
		"a\x00b":                       "",
		"\x89PNG\r\n":                  "",
		strings.Repeat("x", 1000):      strings.Repeat("x", maxExcerpt) + "…",
		"x" + strings.Repeat("ü", 999): "x" + strings.Repeat("ü", (maxExcerpt-1)/2) + "…",
	} {
		if got := Excerpt([]byte(input)); got != want || !utf8.ValidString(got) {
			t.Errorf("of %.20q: %q instead of %q", input, got, want)
		}
	}
}
