package sandbox

import (
	"bytes"
	"strings"
	"testing"

	"potluck/sandbox/wasmtest"
)

func TestPublishRefuses(t *testing.T) {
	echo := wasmtest.Echo()
	for name, c := range map[string]struct {
		module []byte
		want   string
	}{
		"not wasm":   {[]byte("#!/bin/sh"), "not a WebAssembly module"},
		"empty":      {nil, "not a WebAssembly module"},
		"component":  {[]byte("\x00asm\x0d\x00\x01\x00"), "component"},
		"cut short":  {echo[:len(echo)-20], "cut short"},
		"no start":   {[]byte("\x00asm\x01\x00\x00\x00\x05\x03\x01\x00\x01"), "_start"},
		"no memory":  {[]byte("\x00asm\x01\x00\x00\x00"), "no memory"},
		"shared":     {[]byte("\x00asm\x01\x00\x00\x00\x05\x04\x01\x03\x01\x02"), "threads"},
		"wide":       {[]byte("\x00asm\x01\x00\x00\x00\x05\x03\x01\x04\x01"), "64-bit"},
		"memory":     {wasmtest.Module(2000, byte(0x0b)), "125 MiB"},
		"imports":    {wasmtest.Import("env", "launch_missiles"), "env.launch_missiles"},
		"javascript": {wasmtest.Import("gojs", "syscall/js.valueGet"), "gojs.syscall/js.valueGet"},
	} {
		if _, err := Publish(c.module, 64<<20); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q in it", name, err, c.want)
		}
	}
	if _, err := Publish(make([]byte, MaxModule+1), 64<<20); err == nil {
		t.Error("accepted a module that is too large")
	}
}

func TestPublishTwiceChangesNothing(t *testing.T) {
	once, err := Publish(wasmtest.Echo(), 64<<20)
	if err != nil {
		t.Fatal(err)
	}
	twice, err := Publish(once, 64<<20)
	if err != nil || !bytes.Equal(once, twice) {
		t.Fatalf("%x became %x, %v", once, twice, err)
	}
}

func FuzzPublish(f *testing.F) {
	f.Add(wasmtest.Echo())
	f.Add(wasmtest.Import("env", "f"))
	f.Fuzz(func(t *testing.T, module []byte) {
		once, err := Publish(module, 64<<20)
		if err != nil {
			return
		}
		if twice, err := Publish(once, 64<<20); err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("publishing again: %x, %v; want %x", twice, err, once)
		}
	})
}

func TestOutputsThatDifferAreNamed(t *testing.T) {
	if err := compare("m", []byte("abc"), []byte("abc")); err != nil {
		t.Errorf("the same outputs: %v", err)
	}
	if err := compare("m", []byte("abc"), []byte("abd")); err == nil || !strings.Contains(err.Error(), "byte 2") {
		t.Errorf("different outputs: %v", err)
	}
}
