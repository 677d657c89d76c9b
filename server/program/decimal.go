package program

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Bounds of the numbers that parameters and schemas may have. Within them a
// number costs no more than its digits, and every program can read it.
const (
	maxDigits    = 1000 // characters of one
	maxExponent  = 400  // after the e, either way
	maxMagnitude = 308  // decimal digits before the point
)

// A decimal is a number of JSON as it is written, exactly: 0.digits × 10^point.
// Digits neither begin nor end with a zero, and zero has none.
type decimal struct {
	negative bool
	digits   string
	point    int
}

// parseDecimal reads a number that is JSON.
func parseDecimal(literal string) (d decimal, err error) {
	if len(literal) > maxDigits {
		return d, fmt.Errorf("is a number of more than %d characters", maxDigits)
	}
	rest, exponent, _ := strings.Cut(strings.ToLower(literal), "e")
	shift := 0
	if exponent != "" {
		shift, err = strconv.Atoi(exponent)
		if err != nil || max(shift, -shift) > maxExponent {
			return d, fmt.Errorf("is a number with an exponent of more than %d", maxExponent)
		}
	}
	rest, d.negative = strings.CutPrefix(rest, "-")
	whole, fraction, _ := strings.Cut(rest, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	d.point = len(digits) - len(fraction) + shift
	if d.digits = strings.TrimRight(digits, "0"); d.digits == "" {
		return decimal{}, nil
	}
	if d.point > maxMagnitude {
		return d, errors.New("is a number beyond 1e308")
	}
	return d, nil
}

// whole gives a whole number as programs read integers, without a point or an
// exponent. ok is false of any other.
func (d decimal) whole() (text string, ok bool) {
	switch zeros := d.point - len(d.digits); {
	case d.digits == "":
		return "0", true
	case zeros < 0:
		return "", false
	default:
		return d.sign() + d.digits + strings.Repeat("0", zeros), true
	}
}

// key is the same for equal numbers, however they are written.
func (d decimal) key() string { return fmt.Sprintf("%s%se%d", d.sign(), d.digits, d.point) }

func (d decimal) sign() string {
	if d.negative {
		return "-"
	}
	return ""
}

func (d decimal) compare(o decimal) int {
	if c := cmp.Compare(d.direction(), o.direction()); c != 0 {
		return c
	}
	c := cmp.Or(cmp.Compare(d.point, o.point), strings.Compare(d.digits, o.digits))
	if d.negative {
		return -c
	}
	return c
}

// direction is -1 of what is below zero, 0 of zero and 1 of what is above.
func (d decimal) direction() int {
	switch {
	case d.digits == "":
		return 0
	case d.negative:
		return -1
	}
	return 1
}
