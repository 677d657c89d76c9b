// Package terminal keeps what strangers wrote from doing anything to the
// terminal of who reads it: titles, reasons and what programs wrote to stderr
// may have escape sequences in them.
package terminal

import (
	"io"
	"os"
	"strings"
	"unicode"
)

// Out and Err are stdout and stderr for text. Data goes to stdout as it is.
var (
	Out = Plain(os.Stdout)
	Err = Plain(os.Stderr)
)

// Plain gives a writer of text to w. It writes U+FFFD for control characters
// other than line ends and tabs, for those that turn the direction of reading,
// and for what is not UTF-8. Each write must be of whole characters.
func Plain(w io.Writer) io.Writer { return plain{w} }

type plain struct{ w io.Writer }

func (p plain) Write(text []byte) (int, error) {
	if _, err := io.WriteString(p.w, strings.Map(visible, string(text))); err != nil {
		return 0, err
	}
	return len(text), nil
}

// visible replaces a character that is not. Invalid bytes come as U+FFFD.
func visible(r rune) rune {
	if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
		return unicode.ReplacementChar
	}
	return r
}
