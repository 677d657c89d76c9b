package sandbox

import (
	"strings"
	"testing"
)

func TestOutputsThatDifferAreNamed(t *testing.T) {
	if err := compare("m", []byte("abc"), []byte("abc")); err != nil {
		t.Errorf("the same outputs: %v", err)
	}
	if err := compare("m", []byte("abc"), []byte("abd")); err == nil || !strings.Contains(err.Error(), "byte 2") {
		t.Errorf("different outputs: %v", err)
	}
}
