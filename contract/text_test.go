package contract

import "testing"

// A line reads as it is stored: what turns it around, hides in it or ends it is
// not in it, what languages and pictures need may be.
func TestPlain(t *testing.T) {
	for text, good := range map[string]bool{
		"": true, "Größe, 大きさ": true, "שלום, مرحبا": true, "می\u200cخواهم": true, "\U0001F469\u200d\U0001F52C": true, "e\u0301": true, "\u2764\ufe0f": true,
		"abc\u202edef": false, "\u2066abc\u2069": false, "\u200fabc": false, "\u061cabc": false, "a\u00adb": false, "a\u200bb": false, "\ufeffabc": false, "a\u2060b": false,
		"\U0001F3F4\U000E0067\U000E007F": false, "a\nb": false, "a\tb": false, "a\u2028b": false, "a\u2029b": false, "\x1b[2J": false, "a\u0085b": false, "a\x00": false, "\xff": false,
	} {
		if Plain(text) != good {
			t.Errorf("%+q is plain: %v", text, !good)
		}
	}
}
