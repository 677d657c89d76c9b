package golden

import (
	"bytes"
	"reflect"
	"slices"
	"testing"
)

// What is shown can be read back, byte for byte.
func TestShown(t *testing.T) {
	for file, data := range map[string][]byte{
		"a.hex": []byte("|a line of more than sixteen bytes|\x00\xff\n"), "none.hex": {},
		"a.txt": []byte("a line"), "a.json": []byte(`{"a":[1,"<b>"],"c":{}}`),
	} {
		if got := parse(t, file, show(t, file, data)); !bytes.Equal(got, data) {
			t.Errorf("%s: %q became %q", file, data, got)
		}
	}
}

// A field that nothing sets is found, however deep it is.
func TestUnset(t *testing.T) {
	type leaf struct{ A, B int }
	type tree struct {
		Leaves []leaf
		Leaf   *leaf
		None   []leaf
		hidden int
	}
	v := reflect.ValueOf(tree{Leaves: []leaf{{A: 1}, {B: 1}}, Leaf: &leaf{A: 1}, hidden: 0})
	if got := unset("tree", v.Type(), []reflect.Value{v}); !slices.Equal(got, []string{"tree.Leaf.B", "tree.None"}) {
		t.Errorf("unset are %v", got)
	}
}
