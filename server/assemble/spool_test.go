package assemble

import (
	"math/rand/v2"
	"testing"
)

// What is there is found from any number on, and nothing else.
func TestNextThatIsThere(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for _, n := range []int{1, 63, 64, 65, 1000} {
		s := newSpool(t.TempDir(), n)
		there := make([]bool, n)
		for range 2 * n {
			i := random.IntN(n)
			if there[i] = random.IntN(3) == 0; !there[i] {
				s.drop(i)
			} else if err := s.put(i, []byte{1}); err != nil {
				t.Fatal(err)
			}
		}
		want := -1
		for i := n - 1; i >= 0; i-- {
			if there[i] {
				want = i
			}
			if got := s.next(i); got != want {
				t.Fatalf("of %d from %d on: %d instead of %d", n, i, got, want)
			}
		}
		if got := s.next(n); got != -1 {
			t.Errorf("past the end: %d", got)
		}
		s.close()
	}
}
