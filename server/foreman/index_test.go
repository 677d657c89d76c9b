package foreman

import (
	"fmt"
	"testing"
)

// A job remembers as many workers as are here at a time, and kinds of machines up
// to a bound.
func TestNumbersAreUsedAgain(t *testing.T) {
	var x index
	stays := x.of("stays")
	for i := range 1000 {
		name := fmt.Sprint(i)
		if n := x.of(name); n == 0 || n == stays || x.of(name) != n || x.names[n] != name {
			t.Fatalf("%s has number %d", name, n)
		}
		x.forget(name)
		x.forget(name)
		if x.known(name) != 0 {
			t.Fatalf("%s is known still", name)
		}
	}
	if len(x.names) > 3 || len(x.numbers) != 1 || x.of("stays") != stays {
		t.Errorf("%+v", x)
	}
	var a activeJob
	for i := range 1000 {
		a.kind(fmt.Sprint(i))
	}
	if len(a.kinds.names) > maxKinds+2 {
		t.Errorf("%d kinds are told apart", len(a.kinds.names))
	}
}
