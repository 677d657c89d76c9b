package program

import (
	"errors"
	"strings"
	"unicode/utf8"
)

var errArgument = errors.New("an argument is text in UTF-8, without NUL: send other bytes as input")

// CheckArg says what is wrong with an argument of a program. What is no text
// would be changed on its way through JSON, and a NUL ends an argument.
func CheckArg(arg string) error {
	if !utf8.ValidString(arg) || strings.ContainsRune(arg, 0) {
		return errArgument
	}
	return nil
}

// CheckRawArg says what is wrong with an argument as it is in JSON, whose
// decoder replaces what is no text without a word.
func CheckRawArg(raw []byte) error {
	if !utf8.Valid(raw) || loneSurrogate(raw) {
		return errArgument
	}
	return nil
}

// loneSurrogate says whether a string in JSON has half a character in it.
func loneSurrogate(raw []byte) bool {
	text, high := string(raw), false
	for len(text) > 0 {
		unit, rest := "", text[1:]
		if text[0] == '\\' && len(text) >= 2 {
			rest = text[2:]
			if text[1] == 'u' && len(text) >= 6 {
				unit, rest = strings.ToLower(text[2:6]), text[6:]
			}
		}
		low := unit >= "dc00" && unit <= "dfff"
		if high != low {
			return true
		}
		high, text = unit >= "d800" && unit < "dc00", rest
	}
	return high
}
