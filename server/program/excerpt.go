package program

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxExcerpt is how much of an input people see, in bytes.
const maxExcerpt = 200

// Excerpt is the beginning of an input for people, on one line; "" if it is no
// text.
func Excerpt(input []byte) string {
	text := string(input[:min(len(input), maxExcerpt)])
	for i := 1; i < utf8.UTFMax && len(text) < len(input) && !utf8.ValidString(text); i++ {
		text = text[:len(text)-1] // half a character at the cut
	}
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return ""
	}
	text = strings.TrimSpace(strings.Map(visible, text))
	if text != "" && len(input) > maxExcerpt {
		text += "…"
	}
	return text
}

func visible(r rune) rune {
	switch {
	case unicode.IsSpace(r):
		return ' '
	case unicode.IsControl(r) || unicode.Is(unicode.Cf, r):
		return unicode.ReplacementChar
	}
	return r
}

// InputNote is how the reason of a task's failure goes on: with its input, as far
// as that is text.
func InputNote(input []byte) string {
	if excerpt := Excerpt(input); excerpt != "" {
		return "; its input: " + excerpt
	}
	return ""
}
