package contract

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// joiners are the two format characters that languages and pictures need: they
// join letters to words and people to families, and reorder nothing.
const joiners = "\u200c\u200d"

// Plain says whether a text is one line that reads as it is stored: without
// control characters, without the format characters that turn it around or hide
// something in it, and without other ends of lines.
func Plain(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool {
		return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) && !strings.ContainsRune(joiners, r)
	})
}
