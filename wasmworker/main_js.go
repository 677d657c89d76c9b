// The same worker in a browser tab. It runs in a Web Worker of its own, which
// web/src/agent/worker.ts starts when a person has pressed Start; its executors
// are Web Workers too.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"syscall/js"
	"time"

	"potluck/sandbox"
	"potluck/wasmworker/agent"
	"potluck/wire"
)

const (
	// linger is longer than in a headless worker: a browser takes a millisecond to send a message.
	linger = 200 * time.Millisecond
	// reportEvery is how often the page hears of changes. Drawing them takes from
	// what is left to compute with.
	reportEvery = 500 * time.Millisecond
	// finishGrace is how long tasks may go on when the person wants to wait for them.
	finishGrace = 24 * time.Hour
)

func main() {
	host := js.Global().Get("potluck")
	start := host.Get("start")
	h := wire.Hello{
		Name: start.Get("name").String(), Team: start.Get("team").String(), Token: start.Get("token").String(), Slots: start.Get("slots").Int(),
		Secret: make([]byte, start.Get("secret").Length()), Engine: "browser", Profiles: sandbox.Profiles,
	}
	js.CopyBytesToGo(h.Secret, start.Get("secret"))
	e := newEngine(start.Get("executor").String())
	r := newReporter(host, h)
	if err := tryOut(e); err != nil {
		r.end(err)
		return
	}
	a := agent.New(agent.Config{
		Server: start.Get("server").String(), Hello: h, Engine: e,
		Limits: agent.Limits{Share: start.Get("share").Float()}, Linger: linger, Observe: r.hear, Log: slog.New(slog.DiscardHandler),
	})
	obey := js.FuncOf(func(_ js.Value, args []js.Value) any {
		command(a, args[0])
		return nil
	})
	host.Call("ready", obey)
	ctx, cancel := context.WithCancel(context.Background())
	go r.reportAll(ctx, a)
	err := a.Run(ctx)
	cancel()
	r.end(err)
	e.Close()
}

// command does what the page wants; it must not block.
func command(a *agent.Agent, c js.Value) {
	switch c.Get("do").String() {
	case "limit":
		a.Limit(agent.Limits{Slots: c.Get("slots").Int(), Share: c.Get("share").Float(), Paused: c.Get("paused").Bool()})
	case "finish":
		a.Stop(finishGrace)
	case "stop":
		a.Stop(0)
	}
}

// nothing is the smallest command there is: it does nothing.
var nothing = []byte("\x00asm\x01\x00\x00\x00" +
	"\x01\x04\x01\x60\x00\x00" + // type: () → ()
	"\x03\x02\x01\x00" + // one function of it
	"\x05\x04\x01\x01\x01\x01" + // a memory of one page
	"\x07\x13\x02\x06memory\x02\x00\x06_start\x00\x00" + // exports
	"\x0a\x04\x01\x02\x00\x0b") // its body: end

// tryTime is how long an executor may take to do nothing.
const tryTime = 20 * time.Second

// tryOut runs a program that does nothing: a browser that cannot run programs
// should say so before it takes tasks from the grid.
func tryOut(e *engine) error {
	hash := string(sandbox.Hash(nothing))
	f := e.Load(context.Background(), agent.Module{Hash: hash}, func(context.Context) ([]byte, error) { return nothing, nil })
	if f != nil {
		return errors.New(f.Message)
	}
	o := e.slot(0).Run(context.Background(), sandbox.Task{Module: e.module(hash), Time: tryTime})
	return o.Err()
}

// end tells the page that the agent has ended, and why.
func (r *reporter) end(err error) {
	code, reason := "stopped", ""
	var refused *agent.RefusedError
	switch {
	case errors.As(err, &refused):
		code, reason = refused.Code, refused.Reason
	case err != nil:
		code, reason = "failed", err.Error()
	}
	r.post(map[string]string{"kind": "ended", "code": code, "reason": reason})
}

func (r *reporter) post(report any) {
	data, err := json.Marshal(report)
	if err != nil {
		panic(err) // plain fields: it cannot fail
	}
	r.host.Call("report", string(data))
}
