package api

import (
	"encoding/json"
	"testing"
	"time"

	"potluck/client"
	"potluck/scripts/golden"
)

// People keep receipts: potluck verify reads those of all releases.
func TestGoldenReceipt(t *testing.T) {
	r := Receipt{
		Job: "job", Task: 7, Policy: "strict:2", Provisional: true, Module: "aa", Args: []string{"map"},
		Input: Bytes{Hash: "bb", Bytes: 5}, Output: Bytes{Hash: "cc", Bytes: 6},
		Seed: "0123456789abcdef", SeedRule: "a rule", Seconds: 60, OutputLimit: 16 << 20,
		Volunteers: []Voter{{ID: "0123456789abcdef", Name: "Ada", Ms: 1500, State: VoterStateAnswered}}, Refereed: true, Tries: 3, Dissents: 1,
		Lent: time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC), Accepted: time.Date(2026, 11, 24, 10, 0, 1, 5e8, time.UTC),
	}
	golden.RoundTrip(t, "v1/receipt.json", r, json.Marshal, json.Unmarshal)
	readByClients(t, "v1/receipt.json", r)
	r.Profile = 2
	golden.RoundTrip(t, "v2/receipt.json", r, json.Marshal, json.Unmarshal)
	golden.Full(t, r)
	golden.Full(t, readByClients(t, "v2/receipt.json", r))
}

// readByClients wants the client to read and write a receipt as the server does.
func readByClients(t *testing.T, file string, r Receipt) (known client.Receipt) {
	t.Helper()
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &known); err != nil {
		t.Fatal(err)
	}
	golden.RoundTrip(t, file, known, json.Marshal, json.Unmarshal)
	return known
}
