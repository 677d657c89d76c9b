package program

import "testing"

func TestCheckArg(t *testing.T) {
	for arg, good := range map[string]bool{
		"": true, "-v": true, "größer, 大きい 👍": true, "\uFFFD": true, "a\tb\n": true,
		"a\x00b": false, "\xff\xfe": false, "cut \xe2\x82": false,
	} {
		if err := CheckArg(arg); (err == nil) != good {
			t.Errorf("%q: %v", arg, err)
		}
	}
}

func TestCheckRawArg(t *testing.T) {
	for raw, good := range map[string]bool{
		`"-v"`: true, `"\u00fc"`: true, `"\ud83d\uDC4D"`: true, `"\ufffd"`: true, `"\\ud83d"`: true, `"\"\\"`: true, `"👍"`: true,
		`"\ud83d"`: false, `"\ud83d \udc4d"`: false, `"\udc4d"`: false, `"\ud83d\ud83d\udc4d"`: false, "\"\xff\"": false,
	} {
		if err := CheckRawArg([]byte(raw)); (err == nil) != good {
			t.Errorf("%s: %v", raw, err)
		}
	}
}
