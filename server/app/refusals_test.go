package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"potluck/sandbox"
	"potluck/sandbox/wasmtest"
	"potluck/server/api"
	"potluck/wire"
)

// refuses checks that a request is refused, and that the problem says why.
func (g *grid) refuses(method, path string, body []byte, status int, says string, header ...string) api.Problem {
	g.t.Helper()
	got, h, answer := g.request(method, path, body, header...)
	var p api.Problem
	if err := json.Unmarshal(answer, &p); err != nil || h.Get("Content-Type") != "application/problem+json" {
		g.t.Fatalf("%s %s: no problem+json: %d, %s", method, path, got, answer)
	}
	if got != status || p.Status != status || !strings.Contains(p.Detail, says) || p.RequestID == "" || p.Title == "" {
		g.t.Errorf("%s %s: %d instead of %d, and %q instead of %q", method, path, got, status, p.Detail, says)
	}
	return p
}

// works checks that the grid still does what it is for.
func (g *grid) works() {
	g.t.Helper()
	j := g.echoes("still\n", "")
	w := g.worker("tester", 1)
	for w.job != j.ID {
		w.receive()
	}
	w.held = w.held[len(w.held)-1:]
	if a := w.echo(); a.Status != wire.Accepted {
		g.t.Errorf("the grid does not work any more: %+v", a)
	}
	if j = g.ended(j.ID); j.State != api.JobStateDone {
		g.t.Errorf("the grid does not work any more: %+v", j)
	}
}

func TestBadModules(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	wasm := []string{"Content-Type", "application/wasm"}
	for says, module := range map[string][]byte{
		"not a WebAssembly module":          []byte("#!/bin/sh\necho hello\n"),
		"env.launch":                        wasmtest.Import("env", "launch"),
		"wasi_snapshot_preview1.sock_dance": wasmtest.Import("wasi_snapshot_preview1", "sock_dance"),
	} {
		g.refuses("POST", "/api/v1/modules", module, http.StatusUnprocessableEntity, says, wasm...)
	}
	g.refuses("POST", "/api/v1/modules", nil, http.StatusUnprocessableEntity, "", wasm...)
	g.refuses("POST", "/api/v1/modules", wasmtest.Echo()[:40], http.StatusUnprocessableEntity, "", wasm...)
	g.refuses("POST", "/api/v1/modules", wasmtest.Echo(), http.StatusUnsupportedMediaType, "application/wasm", "Content-Type", "text/plain")
	g.refuses("POST", "/api/v1/modules", make([]byte, sandbox.MaxModule+1), http.StatusRequestEntityTooLarge, "33554432 bytes", wasm...)
	g.refuses("GET", "/api/v1/modules/"+strings.Repeat("0", 64), nil, http.StatusNotFound, "not known")
	g.refuses("GET", "/api/v1/modules/"+strings.Repeat("0", 64)+"/info", nil, http.StatusNotFound, "not known")
	g.refuses("GET", "/api/v1/modules/square/info", nil, http.StatusNotFound, "")
	g.works()
}

// A program that breaks the contract is refused with what is wrong.
func TestBadManifests(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	for manifest, says := range map[string]string{
		`{"contract":99,"name":"later"}`:                                                                                                  "this grid speaks 1",
		`{"contract":1,"result":"text/plain","stages":["map"]}`:                                                                           "needs a name",
		`{"contract":1,"name":"a","result":"text/plain","stages":["split"]}`:                                                              "no map stage",
		`{"contract":1,"name":"a","result":"text/plain","stages":["map"]}`:                                                                "built-in splitter",
		`{"contract":1,"name":"a","result":"text/plain","stages":["map","split","dance"]}`:                                                `"dance"`,
		`{"contract":1,"name":"a","result":"text/plain","stages":["map","split"],"parameters":{"type":7}}`:                                `schema at "/type"`,
		`{"contract":1,"name":"a","result":"text/plain","stages":["map","split"],"parameters":` + doubling() + `}`:                        `schema at "/$defs/d20/allOf" is not in the dialect`,
		`{"contract":1,"name":"a","result":"text/plain","stages":["map","split"],"parameters":{"properties":{"n":{"maximum":1e999999}}}}`: "exponent of more than 400",
		`{"contract":1,"name":"a","title":"abc\u202edef","result":"text/plain","stages":["map","split"]}`:                                 "control or format characters",
	} {
		g.refuses("POST", "/api/v1/modules", wasmtest.Say(manifest), http.StatusUnprocessableEntity, says, "Content-Type", "application/wasm")
	}
}

// doubling is a schema that a checker could look at a million times for one value.
func doubling() string {
	var text strings.Builder
	text.WriteString(`{"$defs":{"d0":{"type":"object"}`)
	for i := 1; i <= 20; i++ {
		fmt.Fprintf(&text, `,"d%d":{"allOf":[{"$ref":"#/$defs/d%d"},{"$ref":"#/$defs/d%d"}]}`, i, i-1, i-1)
	}
	return text.String() + `},"properties":{"v":{"$ref":"#/$defs/d20"}}}`
}

// Whole numbers are integers, however they are written, up to the program.
func TestWholeNumbersAreIntegers(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	plain := post[api.Preview](g, "/api/v1/jobs/preview", json.RawMessage(`{"program":"primes","params":{"to":1000000}}`))
	for _, params := range []string{`{"to":1000000.0}`, `{"to":1e6,"from":2.0}`} {
		job := json.RawMessage(`{"program":"primes","params":` + params + `}`)
		if p := post[api.Preview](g, "/api/v1/jobs/preview", job); p.Tasks != plain.Tasks || p.Failure != "" {
			t.Errorf("%s: %+v, not %+v", params, p, plain)
		}
		if j := post[api.Job](g, "/api/v1/jobs", job); j.Tasks.Total != plain.Tasks {
			t.Errorf("%s: %+v", params, j)
		}
	}
}

// A split stage that writes nonsense is the submitter's to mend, in words that
// name the stage's fault.
func TestBadSplit(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	id := g.publish(wasmtest.Say(`{"contract":1,"name":"a","result":"text/plain","stages":["map","split"]}`))
	g.refuses("POST", "/api/v1/jobs", []byte(`{"program":"`+id+`"}`), http.StatusUnprocessableEntity, "record 0: the records end in the middle of one")
}

func TestBadJobs(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	echo := g.publish(wasmtest.Echo())
	for _, c := range []struct{ job, field, says string }{
		{`{"program":"cold-fusion"}`, "/program", "no program is called \"cold-fusion\"; there are lorenz96, mandelbrot"},
		{`{"program":"` + strings.Repeat("ab", 32) + `"}`, "/program", "publish it first"},
		{`{"program":"square","params":{"numbers":"many"}}`, "/params/numbers", "must be an array, not a string"},
		{`{"program":"square","params":{"numbers":[1,"two"]}}`, "/params/numbers/1", "must be a number, not a string"},
		{`{"program":"square","params":{"cubes":[1]}}`, "/params/cubes", "is not known: there is numbers"},
		{`{"program":"mandelbrot","params":{"width":0}}`, "/params/width", "must be at least"},
		{`{"program":"square","params":{"numbers":[]}}`, "/params/numbers", "must have at least 1 item"},
		{`{"program":"primes","params":{"from":1e999999,"to":1e999999}}`, "/params/from", "an exponent of more than 400"},
		{`{"program":"primes","params":{"to":0.` + strings.Repeat("1", 30_000) + `}}`, "/params/to", "more than 1000 characters"},
		{`{"program":"square","params":{"numbers":[` + strings.Repeat("null,", 10_000) + `1]}}`, "/params/numbers/9", "must be a number, not null"},
		{`{"program":"` + echo + `","args":["-v","a\u0000b"],"input":{"text":"x"}}`, "/args/1", "an argument is text in UTF-8, without NUL"},
		{`{"program":"` + echo + `","args":["` + "\xff\xfe" + `"],"input":{"text":"x"}}`, "/args/0", "an argument is text in UTF-8, without NUL"},
		{`{"program":"` + echo + `","args":["\ud83d"],"input":{"text":"x"}}`, "/args/0", "an argument is text in UTF-8, without NUL"},
		{`{"program":"square","args":["-v"]}`, "/args", "takes parameters, not arguments"},
		{`{"program":"square","input":{"text":"1 2 3"}}`, "/input", "takes no input"},
		{`{"program":"wordcount"}`, "/input", "works on an input"},
		{`{"program":"` + echo + `","params":{"a":1}}`, "/params", "use arguments and input"},
		{`{"program":"` + echo + `"}`, "/input", "give text, an upload"},
		{`{"program":"` + echo + `","input":{"text":"a","upload":"b"}}`, "/input", "only one"},
		{`{"program":"` + echo + `","input":{"text":"a","job":"b"}}`, "/input", "only one"},
		{`{"program":"` + echo + `","input":{"upload":"a","job":"b"}}`, "/input", "only one"},
		{`{"program":"` + echo + `","input":{"split":"lines","job":"b"}}`, "/input/split", "leave split out"},
		{`{"program":"` + echo + `","input":{"job":"none"}}`, "/input/job", "there is no job \"none\""},
		{`{"program":"square","input":{"job":"none"}}`, "/input", "takes no input"},
		{`{"program":"` + echo + `","input":{"upload":"none"}}`, "/input/upload", "no such upload"},
		{`{"program":"` + echo + `","input":{"text":"a","split":"words"}}`, "/input/split", "use lines, lines:N"},
		{`{"program":"` + echo + `","input":{"text":"a","split":"lines:0"}}`, "/input/split", "use lines, lines:N"},
		{`{"program":"` + echo + `","input":{"text":"a","split":"range:1:2"}}`, "/input", "leave text and upload out"},
		{`{"program":"` + echo + `","input":{"split":"range:5:1"}}`, "/input/split", "never gets"},
		{`{"program":"` + echo + `","input":{"split":"range:1:10000001"}}`, "/input/split", "more than 10000000 tasks"},
		{`{"program":"` + echo + `","input":{"text":"[1,","split":"json"}}`, "/input", "not a JSON array (at byte"},
		{`{"program":"` + echo + `","input":{"text":"[]","split":"json"}}`, "/input", "nothing to do"},
		{`{"program":"` + echo + `","input":{"text":"a"},"policy":"blind"}`, "/policy", "use trusted"},
		{`{"program":"` + echo + `","input":{"text":"a"},"policy":"strict:0"}`, "/policy", ""},
		{`{"program":"` + echo + `","input":{"text":"a"},"priority":-1}`, "/priority", "from 0.01 to 100"},
		{`{"program":"` + echo + `","input":{"text":"a"},"collect":"heap"}`, "/collect", "heap"},
		{`{"program":"` + echo + `","input":{"text":"a"},"title":"` + strings.Repeat("x", 121) + `"}`, "/title", "120 characters"},
		{`{"program":"` + echo + `","input":{"text":"a"},"title":"\u001b[2J"}`, "/title", "one line"},
		{`{"program":"` + echo + `","input":{"text":"a"},"title":"abc\u202edef"}`, "/title", "control or format characters"},
		{`{"program":"` + echo + `","input":{"text":"a"},"title":"a\u2028b"}`, "/title", "one line"},
	} {
		for _, path := range []string{"/api/v1/jobs", "/api/v1/jobs/preview"} {
			p := g.refuses("POST", path, []byte(c.job), http.StatusUnprocessableEntity, c.says)
			if len(p.Errors) > 10 {
				t.Errorf("%.80s: %d errors", c.job, len(p.Errors))
			}
			if !slices.ContainsFunc(p.Errors, func(f api.FieldProblem) bool { return f.Field == c.field }) {
				t.Errorf("%s: the error is at %+v, not at %s", c.job, p.Errors, c.field)
			}
		}
	}
	for _, path := range []string{"/api/v1/jobs", "/api/v1/jobs/preview"} {
		g.refuses("POST", path, []byte(`{"program":"square","colour":"red"}`), http.StatusBadRequest, `unknown field "colour"`)
		g.refuses("POST", path, []byte(`square`), http.StatusBadRequest, "not a job")
		g.refuses("POST", path, []byte(`{"program":"square","title":"`+strings.Repeat("x", 64<<10)+`"}`), http.StatusRequestEntityTooLarge, "65536 bytes")
	}
	for _, path := range []string{"", "/result", "/tasks", "/tiles", "/events"} {
		g.refuses("GET", "/api/v1/jobs/none"+path, nil, http.StatusNotFound, "not known")
	}
	g.refuses("GET", "/api/v1/nothing", nil, http.StatusNotFound, "there is nothing at /api/v1/nothing")
	g.refuses("PUT", "/api/v1/jobs", nil, http.StatusMethodNotAllowed, "")
	if page := get[api.JobPage](g, "/api/v1/jobs"); len(page.Jobs) > 0 {
		t.Errorf("refused jobs were stored: %+v", page.Jobs)
	}
	g.works()
}

// Inputs over a limit are refused, and leave nothing behind.
func TestLargeInputs(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	echo := g.publish(wasmtest.Echo())
	upload := func(data []byte) string {
		return post[api.Upload](g, "/api/v1/inputs", data, "Content-Type", "application/octet-stream").ID
	}
	job := func(id, split string) []byte {
		data, _ := json.Marshal(api.NewJob{Program: echo, Input: api.Input{Upload: id, Split: split}})
		return data
	}
	long := upload(bytes.Repeat([]byte("x"), 17<<20))
	g.refuses("POST", "/api/v1/jobs", job(long, "lines"), http.StatusUnprocessableEntity, "16777216 bytes")
	g.refuses("POST", "/api/v1/jobs", job(long, "bytes:17000000"), http.StatusUnprocessableEntity, "at most 16777216")
	many := upload(bytes.Repeat([]byte("\n"), 10_000_001))
	g.refuses("POST", "/api/v1/jobs", job(many, "lines"), http.StatusUnprocessableEntity, "more than 10000000 tasks")
	g.refuses("POST", "/api/v1/inputs", make([]byte, 256<<20+1), http.StatusRequestEntityTooLarge, "268435456 bytes")
	g.works()
}

// What strangers send to the workers' door ends their own session, with a
// reason, and nothing else.
func TestStrangers(t *testing.T) {
	g := serve(t, t.TempDir(), func(c *Config) { c.Closed = true })
	token := post[api.CreatedToken](g, "/api/v1/tokens", api.NewToken{Role: api.RoleRunner}).Token
	hello := func(h wire.Hello) []byte {
		data, err := wire.Encode(wire.FromWorker{Hello: &h})
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	good := wire.Hello{Protocol: wire.Protocol, Secret: secretOf("x"), Slots: 1, Token: token}
	change := func(f func(*wire.Hello)) []byte { h := good; f(&h); return hello(h) }
	for name, c := range map[string]struct {
		kind websocket.MessageType
		data []byte
		code string
	}{
		"not CBOR":                      {websocket.MessageBinary, []byte("GET / HTTP/1.1"), wire.CodeMessage},
		"text":                          {websocket.MessageText, hello(good), wire.CodeMessage},
		"no hello":                      {websocket.MessageBinary, []byte{0xa0}, wire.CodeMessage},
		"another protocol":              {websocket.MessageBinary, change(func(h *wire.Hello) { h.Protocol = 99 }), wire.CodeProtocol},
		"no token":                      {websocket.MessageBinary, change(func(h *wire.Hello) { h.Token = "" }), wire.CodeToken},
		"a wrong token":                 {websocket.MessageBinary, change(func(h *wire.Hello) { h.Token = "sesame" }), wire.CodeToken},
		"a short secret":                {websocket.MessageBinary, change(func(h *wire.Hello) { h.Secret = []byte("short") }), wire.CodeMessage},
		"no slots":                      {websocket.MessageBinary, change(func(h *wire.Hello) { h.Slots = 0 }), wire.CodeMessage},
		"a million slots":               {websocket.MessageBinary, change(func(h *wire.Hello) { h.Slots = 1_000_000 }), wire.CodeMessage},
		"a long name":                   {websocket.MessageBinary, change(func(h *wire.Hello) { h.Name = strings.Repeat("x", 41) }), wire.CodeMessage},
		"a name that turns text around": {websocket.MessageBinary, change(func(h *wire.Hello) { h.Name = "abc\u202edef" }), wire.CodeMessage},
		"a team that hides something":   {websocket.MessageBinary, change(func(h *wire.Hello) { h.Team = "abc\u200b" }), wire.CodeMessage},
	} {
		conn := g.dial()
		if err := conn.Write(t.Context(), c.kind, c.data); err != nil {
			t.Fatal(err)
		}
		w := &worker{t: t, conn: conn}
		if m := w.receive(); m.Refused == nil || m.Refused.Code != c.code || m.Refused.Reason == "" {
			t.Errorf("%s: %+v", name, m)
		}
		_ = conn.CloseNow()
	}
	conn := g.dial()
	_ = conn.Write(t.Context(), websocket.MessageBinary, make([]byte, wire.MaxHello+1))
	if _, _, err := conn.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusMessageTooBig {
		t.Errorf("an oversized hello: %v", err)
	}
}

// An address may have so many connections and no more.
func TestTooManyConnections(t *testing.T) {
	g := serve(t, t.TempDir(), func(c *Config) { c.MaxPerAddress = 2 })
	first := g.dial()
	g.dial()
	g.refuses("GET", wire.SocketPath, nil, http.StatusTooManyRequests, "from this address")
	_ = first.CloseNow()
	g.until("room for another", func() bool {
		status, _, _ := g.request("GET", wire.SocketPath, nil)
		return status != http.StatusTooManyRequests
	})
}

// Leases cannot be made up, changed, or used by another; what is answered for
// a task that nobody lent counts for nothing.
func TestForgedLeases(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	j := g.echoes("a\nb\n", "")
	ada, eve := g.worker("Ada", 1), g.worker("Eve", 0)
	lease := ada.leases(1)[0]
	forged := slices.Clone(lease.ID)
	forged[0] ^= 1 // the other task
	for name, id := range map[string][]byte{
		"another's": lease.ID, "changed": forged, "empty": {}, "made up": []byte("\x00\x00\x00\x00" + j.ID + "0123456789abcdef"),
		"no job": bytes.Repeat([]byte{7}, 64), "long": bytes.Repeat([]byte{7}, 5000),
	} {
		if a := eve.result(wire.Result{Lease: id, Output: []byte("evil")}); a.Status != wire.Rejected || a.Reason == "" {
			t.Errorf("a lease that is %s: %+v", name, a)
		}
	}
	eve.send(wire.FromWorker{Returns: [][]byte{lease.ID, forged, nil}})
	if a := ada.result(wire.Result{Lease: forged, Output: []byte("evil")}); a.Status != wire.Rejected {
		t.Errorf("a lease changed by its owner: %+v", a)
	}
	if status, _, _ := g.request("PUT", "/api/v1/work/"+j.ID+"/outputs/"+strings.Repeat("0", 64), []byte("evil")); status != http.StatusForbidden {
		t.Errorf("an output without a lease: %d", status)
	}
	if a := ada.echo(); a.Status != wire.Accepted {
		t.Errorf("the honest answer: %+v", a)
	}
	if a := ada.result(wire.Result{Lease: lease.ID, Output: []byte("again")}); a.Status == wire.Accepted {
		t.Errorf("an answer twice: %+v", a)
	}
	eve.send(wire.FromWorker{Credit: 1})
	eve.echo()
	if j = g.ended(j.ID); j.State != api.JobStateDone {
		t.Fatalf("%+v", j)
	}
	if _, _, result := g.request("GET", "/api/v1/jobs/"+j.ID+"/result", nil); string(result) != "a\nb\n" {
		t.Errorf("the result is %q", result)
	}
}

// Every answer carries the headers of docs/operations.md; another site's page
// cannot make a browser change anything, nor open a worker's socket.
func TestHeaders(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	want := http.Header{
		"Content-Security-Policy":      {contentSecurityPolicy},
		"Cross-Origin-Opener-Policy":   {"same-origin"},
		"Cross-Origin-Resource-Policy": {"same-origin"},
		"X-Content-Type-Options":       {"nosniff"},
		"Referrer-Policy":              {"no-referrer"},
		"Permissions-Policy":           {"camera=(), geolocation=(), microphone=(), payment=(), usb=()"},
	}
	for path, status := range map[string]int{
		"/": 200, "/healthz": 200, "/readyz": 200, "/metrics": 200, "/api/v1/programs": 200, "/api/v1/jobs": 200,
		"/api/v1/grid": 200, "/api/v1/jobs/none": 404, "/api/v1/work": 426, "/nowhere": 404,
	} {
		got, header, body := g.request("GET", path, nil)
		if got != status {
			t.Errorf("%s: %d, %s", path, got, body)
		}
		for name := range want {
			if header.Get(name) != want.Get(name) {
				t.Errorf("%s: %s is %q", path, name, header.Get(name))
			}
		}
	}
	if status, _, body := g.request("HEAD", "/", nil); status != http.StatusOK || len(body) > 0 {
		t.Errorf("a page without its body: %d, %d bytes", status, len(body))
	}
	g.refuses("POST", "/api/v1/jobs", []byte(`{"program":"square"}`), http.StatusForbidden, "own pages", "Origin", "https://evil.example")
	g.refuses("POST", "/api/v1/jobs", []byte(`{"program":"square"}`), http.StatusForbidden, "own pages", "Sec-Fetch-Site", "cross-site")
	_, resp, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(g.URL, "http")+wire.SocketPath, //nolint:bodyclose // Dial closes it
		&websocket.DialOptions{HTTPHeader: http.Header{"Origin": {"https://evil.example"}}})
	if err == nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("a socket from another site: %v", err)
	}
}

// A store that is full refuses new jobs and loses none; what is computed waits
// for room, and deleting a job makes some.
func TestFullStore(t *testing.T) {
	g := serve(t, t.TempDir(), func(c *Config) { c.StoreLimit = 32 << 20 })
	running := g.echoes("kept\n", "")
	ada := g.worker("Ada", 1)
	ada.leases(1)
	echo := g.publish(wasmtest.Echo())
	upload := post[api.Upload](g, "/api/v1/inputs", bytes.Repeat([]byte("0123456789abcdef"), 1<<18)).ID
	body, _ := json.Marshal(api.NewJob{Program: echo, Input: api.Input{Upload: upload, Split: "bytes:65536"}})
	var filled []string
	for {
		status, _, answer := g.request("POST", "/api/v1/jobs", body)
		if status == http.StatusInsufficientStorage {
			break
		}
		var j api.Job
		if err := json.Unmarshal(answer, &j); err != nil || status != http.StatusCreated || len(filled) > 10 {
			t.Fatalf("job %d: %d, %s", len(filled), status, answer)
		}
		filled = append(filled, j.ID)
	}
	g.refuses("POST", "/api/v1/jobs", body, http.StatusInsufficientStorage, "delete jobs that are done")
	if page := get[api.JobPage](g, "/api/v1/jobs"); len(page.Jobs) != len(filled)+1 {
		t.Errorf("%d jobs instead of %d", len(page.Jobs), len(filled)+1)
	}
	for _, id := range filled {
		g.request("POST", "/api/v1/jobs/"+id+"/cancel", nil)
		if status, _, answer := g.request("DELETE", "/api/v1/jobs/"+id, nil); status != http.StatusNoContent {
			t.Errorf("delete in a full store: %d, %s", status, answer)
		}
	}
	if a := ada.echo(); a.Status != wire.Accepted {
		t.Errorf("what was lent before: %+v", a)
	}
	if j := g.ended(running.ID); j.State != api.JobStateDone {
		t.Errorf("the job of before: %+v", j)
	}
	if status, _, answer := g.request("POST", "/api/v1/jobs", body); status != http.StatusCreated {
		t.Errorf("a job after room was made: %d, %s", status, answer)
	}
}
