package schedule

import (
	"testing"

	"pgregory.net/rapid"
)

// Whether what several jobs say of a volunteer is added up first or taken one
// by one comes to the same.
func TestReputationIsASum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var sum Did
		var one Reputation
		for range rapid.IntRange(0, 8).Draw(t, "jobs") {
			d := Did{Right: rapid.IntRange(0, 30).Draw(t, "right"), Lied: rapid.IntRange(0, 20).Draw(t, "lied") == 0, At: Second}
			sum, one = sum.Add(d), one.After(d)
			if left := sum.Less(d).Add(d); left.Right != sum.Right || left.Failures != sum.Failures {
				t.Fatalf("%+v less %+v and more again is %+v", sum, d, left)
			}
		}
		all := Reputation{}.After(sum)
		if all.Standing != one.Standing || all.Standing == Established && (all.Checked != one.Checked || all.Answered != one.Answered) {
			t.Fatalf("at once %+v, one by one %+v", all, one)
		}
	})
}

// Who keeps failing gets less and then nothing, until that is forgotten; who
// was caught never gets anything again.
func TestReputationLimit(t *testing.T) {
	r := Reputation{Standing: Established}
	want := []int{-1, -1, 1, 1, 0, 0}
	for i, n := range want {
		r = r.After(Did{Failures: 1, At: 100 * Second})
		if got, until := r.Limit(100 * Second); got != n || n == 0 && until <= 100*Second {
			t.Errorf("after %d failures %d tasks, until %d", i+1, got, until/Second)
		}
	}
	_, until := r.Limit(100 * Second)
	if n, _ := r.Limit(until); n != 1 {
		t.Errorf("when the rest is over there are %d tasks", n)
	}
	for range 100 {
		r = r.After(Did{Right: 1, At: until})
	}
	if n, _ := r.Limit(until); n != -1 {
		t.Errorf("after many successes there are %d tasks", n)
	}
	if n, _ := (Reputation{}).Limit(0); n != Probation {
		t.Errorf("a newcomer gets %d tasks", n)
	}
	if n, until := r.After(Did{Lied: true}).Limit(until); n != 0 || until != 0 {
		t.Errorf("a liar gets %d tasks, or some from %d on", n, until)
	}
}
