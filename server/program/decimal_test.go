package program

import (
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Numbers compare as exact arithmetic has it, however they are written.
func TestDecimalsAreExact(t *testing.T) {
	mantissa := rapid.StringMatching(`-?(0|[1-9]\d{0,20})(\.\d{1,20})?`)
	exponent := rapid.StringMatching(`([eE][+-]?\d{1,2})?`)
	rapid.Check(t, func(t *rapid.T) {
		m, e := mantissa.Draw(t, "mantissa"), exponent.Draw(t, "exponent")
		a, b := m+e, mantissa.Draw(t, "other")+exponent.Draw(t, "its exponent")
		switch near := rapid.Bool().Draw(t, "near"); {
		case near && strings.Contains(m, "."):
			b = m + "0" + e
		case near:
			b = m + ".0" + e
		}
		exactA, _ := new(big.Rat).SetString(a)
		exactB, _ := new(big.Rat).SetString(b)
		x, errX := parseDecimal(a)
		y, errY := parseDecimal(b)
		if errX != nil || errY != nil {
			t.Fatal(errX, errY)
		}
		if got, want := x.compare(y), exactA.Cmp(exactB); got != want || (x.key() == y.key()) != (want == 0) {
			t.Fatalf("%s against %s: %d, not %d; %s, %s", a, b, got, want, x.key(), y.key())
		}
		text, whole := x.whole()
		if whole != exactA.IsInt() || whole && text != exactA.Num().String() {
			t.Fatalf("%s is whole: %v, %s", a, whole, text)
		}
	})
}

// What costs more than its digits is not read at all.
func TestNumbersAreBounded(t *testing.T) {
	for literal, good := range map[string]bool{
		"0": true, "-0.0": true, "1e308": false, "1e307": true, "9e307": true, "-1e308": false, "0.1e308": true, "1e-400": true, "0e400": true,
		"1e999999": false, "1e-999999": false, "-1E+999999": false, "0e999999": false, "1e99999999999999999999": false, "1e-99999999999999999999": false,
		strings.Repeat("1", 308): true, strings.Repeat("1", 309): false, "0." + strings.Repeat("1", 900): true, strings.Repeat("1", 1001): false, "0." + strings.Repeat("0", 1000): false,
	} {
		if d, err := parseDecimal(literal); (err == nil) != good {
			t.Errorf("%.40s: %+v, %v", literal, d, err)
		}
	}
}
