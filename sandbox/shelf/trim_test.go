package shelf

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"potluck/sandbox"
)

// A cache keeps what was used last, each module with its machine code, and what is
// left of writes that were cut off goes too.
func TestTrim(t *testing.T) {
	c := Cache{Dir: t.TempDir(), Limit: 25}
	if err := c.Trim(); err != nil {
		t.Errorf("of nothing: %v", err)
	}
	id := func(letter string) sandbox.ID { return sandbox.ID(strings.Repeat(letter, 64)) }
	write := func(path string, age time.Duration) {
		t.Helper()
		if err := ReplaceFile(path, make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	module := func(letter string) string { return filepath.Join(c.ModulesDir(), string(id(letter))+ending) }
	code := func(letter, file string) string {
		return filepath.Join(c.CodeDir(), string(id(letter)), "wazero", file)
	}
	for letter, age := range map[string]time.Duration{"a": 3 * time.Hour, "b": 2 * time.Hour, "c": time.Hour} {
		write(module(letter), age)
		write(code(letter, "1"), 5*time.Hour)
		write(code(letter, "1.sha256"), 5*time.Hour)
	}
	write(filepath.Join(c.ModulesDir(), "new-123"), 9*time.Hour)
	if err := c.Trim(); err != nil {
		t.Fatal(err)
	}
	for _, gone := range []string{module("a"), code("a", "1"), module("b"), code("b", "1.sha256"), filepath.Join(c.ModulesDir(), "new-123")} {
		if _, err := os.Stat(gone); err == nil {
			t.Errorf("%s is there still", gone)
		}
	}
	for _, left := range []string{module("c"), code("c", "1"), code("c", "1.sha256")} {
		if _, err := os.Stat(left); err != nil {
			t.Error(err)
		}
	}
	if err := c.Remove(id("c")); err != nil {
		t.Error(err)
	}
	if all, err := c.entries(); len(all) > 0 || err != nil {
		t.Errorf("%v, %v", all, err)
	}
	if err := c.Remove(id("d")); err != nil {
		t.Errorf("what is not there: %v", err)
	}
}
