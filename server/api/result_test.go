package api

import "testing"

// What is read of running jobs is in memory once each, and not more of it than the
// bound, but for the first.
func TestPartialsHaveABound(t *testing.T) {
	var s sending
	begin := func(key string, n int, want bool) {
		t.Helper()
		if s.begin(key, n) != want {
			t.Errorf("%s with %d bytes: %v", key, n, !want)
		}
	}
	begin("large", maxSending+1, true)
	begin("large", maxSending+1, true)
	begin("small", 1, false)
	s.end("large", maxSending+1)
	begin("small", 1, false)
	s.end("large", maxSending+1)
	begin("small", 1, true)
	begin("other", maxSending-1, true)
	begin("more", 1, false)
	s.end("small", 1)
	s.end("other", maxSending-1)
	if s.bytes != 0 || len(s.readers) != 0 {
		t.Errorf("%d bytes of %d are left", s.bytes, len(s.readers))
	}
}
