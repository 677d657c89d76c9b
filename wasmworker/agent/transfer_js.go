package agent

import (
	"context"
	"errors"
	"fmt"
	"syscall/js"
)

// transfer uses the browser's fetch: net/http would do the same, and make the
// agent twice as large.
func transfer(ctx context.Context, r request) ([]byte, error) {
	abort := js.Global().Get("AbortController").New()
	defer context.AfterFunc(ctx, func() { abort.Call("abort") })()
	header := map[string]any{}
	for name, value := range r.header {
		header[name] = value
	}
	options := map[string]any{"method": r.method, "headers": header, "signal": abort.Get("signal")}
	if len(r.body) > 0 {
		options["body"] = ToJS(r.body)
	}
	resp, err := Await(js.Global().Call("fetch", r.url, options))
	if err != nil {
		return nil, err
	}
	body, err := Await(resp.Call("arrayBuffer"))
	if err != nil {
		return nil, err
	}
	data := ToGo(js.Global().Get("Uint8Array").New(body))
	if !resp.Get("ok").Bool() {
		return nil, fmt.Errorf("%d %s: %.1000s", resp.Get("status").Int(), resp.Get("statusText").String(), data)
	}
	return data, nil
}

// ToJS copies bytes into an Uint8Array.
func ToJS(data []byte) js.Value {
	array := js.Global().Get("Uint8Array").New(len(data))
	js.CopyBytesToJS(array, data)
	return array
}

// ToGo copies bytes out of an Uint8Array.
func ToGo(array js.Value) []byte {
	data := make([]byte, array.Length())
	js.CopyBytesToGo(data, array)
	return data
}

// Await waits for a promise. It must not be called from a callback.
func Await(promise js.Value) (v js.Value, err error) {
	settled := make(chan struct{})
	then := js.FuncOf(func(_ js.Value, args []js.Value) any { v = args[0]; close(settled); return nil })
	fail := js.FuncOf(func(_ js.Value, args []js.Value) any {
		err = errors.New(ErrorText(args[0]))
		close(settled)
		return nil
	})
	defer then.Release()
	defer fail.Release()
	promise.Call("then", then, fail)
	<-settled
	return v, err
}

// ErrorText reads an Error or an ErrorEvent.
func ErrorText(e js.Value) string {
	if m := e.Get("message"); m.Type() == js.TypeString && m.String() != "" {
		return m.String()
	}
	return e.Call("toString").String()
}
