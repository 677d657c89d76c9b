package main

import (
	"testing"
	"time"

	"potluck/client"
)

// A clock that was set back while a job ran makes no negative times.
func TestFinished(t *testing.T) {
	created := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	for took, want := range map[time.Duration]string{
		90 * time.Second:   "2026-01-02 03:05:35, after 1m30s",
		0:                  "2026-01-02 03:04:05, after 0s",
		-24 * time.Hour:    "2026-01-01 03:04:05",
		-2 * time.Second:   "2026-01-02 03:04:03",
		-time.Nanosecond:   "2026-01-02 03:04:04",
		time.Microsecond:   "2026-01-02 03:04:05, after 0s",
		26 * time.Hour / 2: "2026-01-02 16:04:05, after 13h0m0s",
	} {
		if got := finished(&client.Job{Created: created, Finished: created.Add(took)}); got != want {
			t.Errorf("%v: %q instead of %q", took, got, want)
		}
	}
}
