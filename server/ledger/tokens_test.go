package ledger

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"potluck/sandbox"
)

func exerciseTokens(t *testing.T, l *Ledger) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	token, record := NewToken(RoleSubmitter, "Ada", time.Time{})
	if strings.Contains(string(record.Hash), token) {
		t.Error("the record has the token")
	}
	if _, err := l.CheckToken(token); !errors.Is(err, ErrToken) {
		t.Errorf("before it is stored: %v", err)
	}
	if err := l.AddToken(ctx, record); err != nil {
		t.Fatal(err)
	}
	got, err := l.CheckToken(token)
	if err != nil || got.Role != RoleSubmitter || got.Name != "Ada" || !got.Used.IsZero() {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, wrong := range []string{"", TokenPrefix, token[1:], token + "x", token[:len(token)-1], strings.ToLower(token), TokenPrefix + record.ID + "_"} {
		if _, err := l.CheckToken(wrong); !errors.Is(err, ErrToken) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	for range 3 { // noted once; what is already noted is not written again
		if err := l.TouchToken(ctx, got); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.RevokeToken(ctx, record.ID); err != nil {
		t.Fatal(err)
	}
	if err := l.TouchToken(ctx, &Token{ID: record.ID, revision: got.revision}); err != nil {
		t.Errorf("a use that is noted late: %v", err)
	}
	if _, err := l.CheckToken(token); !errors.Is(err, ErrToken) {
		t.Errorf("after it was revoked: %v", err)
	}
	if err := l.RevokeToken(ctx, record.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("revoked twice: %v", err)
	}
	old, record := NewToken(RoleAdmin, "", time.Now().Add(-time.Second))
	if err := l.AddToken(ctx, record); err != nil {
		t.Fatal(err)
	}
	if _, err := l.CheckToken(old); !errors.Is(err, ErrExpired) {
		t.Errorf("an expired one: %v", err)
	}
	if all := l.Tokens(); len(all) != 1 || all[0].ID != record.ID {
		t.Errorf("listed are %+v", all)
	}
}

func exerciseApprovals(t *testing.T, l *Ledger) {
	ctx := t.Context()
	id := sandbox.Hash([]byte("wasm"))
	if ids, err := l.Approvals(ctx); err != nil || len(ids) > 0 {
		t.Errorf("at first: %v, %v", ids, err)
	}
	if err := l.Withdraw(ctx, id); !errors.Is(err, ErrNotFound) {
		t.Errorf("withdrawn before it was approved: %v", err)
	}
	for range 2 {
		if err := l.Approve(ctx, id); err != nil {
			t.Fatal(err)
		}
	}
	ids, err := l.Approvals(ctx)
	approved, err2 := l.Approved(ctx, id)
	if errors.Join(err, err2) != nil || !approved || !slices.Equal(ids, []string{string(id)}) {
		t.Errorf("%v, %v, %v, %v", ids, approved, err, err2)
	}
	if err := l.Withdraw(ctx, id); err != nil {
		t.Fatal(err)
	}
	if approved, err := l.Approved(ctx, id); err != nil || approved {
		t.Errorf("after it was withdrawn: %v, %v", approved, err)
	}
}

func exerciseUsage(t *testing.T, l *Ledger) {
	ctx := t.Context()
	for _, j := range []*Job{
		{ID: NewID(), State: Running, Owner: "ada", Bytes: 100, Params: Blob{Size: 1}},
		{ID: NewID(), State: Done, Owner: "ada", Bytes: 20},
		{ID: NewID(), State: Running, Owner: "eve", Bytes: 5000},
	} {
		if err := l.CreateJob(ctx, j); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range []*Module{{ID: sandbox.Hash([]byte("a")), Bytes: 7, Owner: "ada"}, {ID: sandbox.Hash([]byte("b")), Bytes: 9000}} {
		if err := l.PutModule(ctx, m, []byte("wasm")); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.PutUpload(ctx, NewID(), "ada", strings.NewReader("upload")); err != nil {
		t.Fatal(err)
	}
	if u, err := l.Usage(ctx, "ada"); err != nil || u != (Usage{Jobs: 1, Bytes: 134}) {
		t.Errorf("%+v, %v", u, err)
	}
}

// What one server of a grid is told of tokens the others know in a moment.
func TestTokensOfAGrid(t *testing.T) {
	url := external(t)
	a, b := open1(t, Config{URL: url}), open1(t, Config{URL: url})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	token, record := NewToken(RoleRunner, "", time.Time{})
	if err := a.AddToken(ctx, record); err != nil {
		t.Fatal(err)
	}
	if err := b.awaitToken(ctx, record.ID, true); err != nil {
		t.Fatal(err)
	}
	got, err := b.CheckToken(token)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.RevokeToken(ctx, record.ID); err != nil {
		t.Fatal(err)
	}
	if err := b.awaitToken(ctx, record.ID, false); err != nil {
		t.Fatal(err)
	}
	if err := b.TouchToken(ctx, got); err != nil { // as if b had checked it just before
		t.Fatal(err)
	}
	if _, err := a.CheckToken(token); !errors.Is(err, ErrToken) {
		t.Errorf("a use brought a revoked token back: %v", err)
	}
}
