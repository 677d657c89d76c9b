package profile

import (
	"bytes"
	"testing"
)

func TestWhatAnEngineGetsWrongIsWrittenAnotherWay(t *testing.T) {
	const get, set, drop = opLocalGet, opLocalSet, opDrop
	gtS, gtU := opI64LtS+1, opI32LtS+3
	for name, c := range map[string]struct{ code, want []byte }{
		"popcnt": {
			join(get, 0, opI32Popcnt, drop),
			join(get, 0, opI64ExtendI32U, opI64Popcnt, opI32Wrap, drop),
		},
		"an and, then zero": {
			join(get, 0, get, 1, opI32And, opI32Const, 0, gtU, drop),
			join(get, 0, get, 1, opI32And, opI32Const, 0, opI32Or, opI32Const, 0, gtU, drop),
		},
		"zero, then an and": {
			join(opI64Const, 0, get, 2, get, 3, opI64And, gtS, drop),
			join(opI64Const, 0, get, 2, get, 3, opI64And, opI64Const, 0, opI64Or, gtS, drop),
		},
		"an and from a local": {
			join(get, 0, get, 1, opI32And, set, 1, get, 1, opI32Const, 0, gtU, drop),
			join(get, 0, get, 1, opI32And, set, 1, get, 1, opI32Const, 0, opI32Or, opI32Const, 0, gtU, drop),
		},
		"an and, and another number": {code: join(get, 0, get, 1, opI32And, opI32Const, 5, gtU, drop)},
		"no and":                     {code: join(get, 0, opI32Const, 0, gtU, drop)},
		"equal":                      {code: join(get, 0, get, 1, opI32And, opI32Const, 0, opI32Eq, drop)},
	} {
		t.Run(name, func(t *testing.T) {
			if c.want == nil {
				c.want = c.code
			}
			source := command(nil, []valType{i32, i32, i64, i64}, c.code)
			p, err := publish(source, memoryCap, []pass{scan, avoidMistakes})
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(p.Module, append(c.want, byte(opEnd))) {
				t.Errorf("%x became %x; %x should be in it", c.code, p.Module, c.want)
			}
			again, err := publish(p.Module, memoryCap, []pass{scan, avoidMistakes})
			if err != nil || !bytes.Equal(again.Module, p.Module) {
				t.Errorf("again: %x, %v", again.Module, err)
			}
		})
	}
}
