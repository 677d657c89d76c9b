package app

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/nats-io/nats.go/jetstream"

	"potluck/sandbox"
	"potluck/sandbox/profile"
	"potluck/sandbox/wasmtest"
	"potluck/server/api"
	"potluck/wire"
)

// A public grid is one that is not open: it stands behind a proxy.
type public struct {
	*grid
	dir   string
	admin string // their token
}

func servePublic(t *testing.T, change func(*Config)) *public {
	t.Helper()
	return servePublicOn(t, t.TempDir(), change)
}

func servePublicOn(t *testing.T, dir string, change func(*Config)) *public {
	t.Helper()
	p := &public{dir: dir}
	p.grid = serve(t, p.dir, func(c *Config) {
		c.BehindProxy = true
		if change != nil {
			change(c)
		}
	})
	p.admin = p.adminToken()
	return p
}

func (p *public) adminToken() string {
	p.t.Helper()
	data, err := os.ReadFile(filepath.Join(p.dir, "admin-token"))
	if err != nil {
		p.t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}

// with is the header that carries a token; none for "".
func with(token string, more ...string) []string {
	if token == "" {
		return more
	}
	return append([]string{"Authorization", "Bearer " + token}, more...)
}

func (p *public) token(wanted api.NewToken) api.CreatedToken {
	p.t.Helper()
	return post[api.CreatedToken](p.grid, "/api/v1/tokens", wanted, with(p.admin)...)
}

func (p *public) submitter() api.CreatedToken {
	p.t.Helper()
	return p.token(api.NewToken{Role: api.RoleSubmitter})
}

// expired gives a token that was good until a moment ago.
func (p *public) expired(role api.Role) string {
	p.t.Helper()
	until := time.Now().Add(200 * time.Millisecond)
	token := p.token(api.NewToken{Role: role, Expires: until}).Token
	p.until("the token's end", func() bool { return time.Now().After(until) })
	return token
}

func (p *public) revoked(role api.Role) string {
	p.t.Helper()
	token := p.token(api.NewToken{Role: role})
	p.revoke(token.ID)
	return token.Token
}

func (p *public) revoke(id string) {
	p.t.Helper()
	if status, _, body := p.request("DELETE", "/api/v1/tokens/"+id, nil, with(p.admin)...); status != http.StatusNoContent {
		p.t.Fatalf("revoke: %d, %s", status, body)
	}
}

var square = []byte(`{"program":"square","params":{"numbers":[1,2,3]}}`)

func (p *public) submit(token string) api.Job {
	p.t.Helper()
	return post[api.Job](p.grid, "/api/v1/jobs", square, with(token)...)
}

// Who may do what: every route that changes something, for everybody.
func TestRoles(t *testing.T) {
	g := servePublic(t, nil)
	submitter, other := g.submitter(), g.submitter()
	callers := []struct{ name, token string }{
		{"anonymous", ""},
		{"submitter", submitter.Token},
		{"other submitter", other.Token},
		{"admin", g.admin},
		{"expired", g.expired(api.RoleAdmin)},
		{"revoked", g.revoked(api.RoleAdmin)},
		{"runner", g.token(api.NewToken{Role: api.RoleRunner}).Token},
		{"nonsense", "potluck_0_0"},
	}
	module := strings.Repeat("ab", 32)
	target := func() string { return g.submit(submitter.Token).ID }
	cancelled := func() string {
		id := target()
		g.request("POST", "/api/v1/jobs/"+id+"/cancel", nil, with(submitter.Token)...)
		return id
	}
	const no, not = http.StatusUnauthorized, http.StatusForbidden
	const ok, made, gone, conflict = http.StatusOK, http.StatusCreated, http.StatusNoContent, http.StatusConflict
	all := []struct {
		route string
		on    func() string // makes what the route is tried on, and gives its id
		body  []byte
		want  []int // by caller, in their order
	}{
		{"POST /api/v1/jobs", nil, square, []int{made, made, made, made, no, no, not, no}},
		{"POST /api/v1/jobs/preview", nil, square, []int{ok, ok, ok, ok, no, no, not, no}},
		{"POST /api/v1/jobs/:id/cancel", target, nil, []int{no, ok, not, ok, no, no, not, no}},
		{"POST /api/v1/jobs/:id/pause", target, nil, []int{no, ok, not, ok, no, no, not, no}},
		{"POST /api/v1/jobs/:id/resume", target, nil, []int{no, conflict, not, conflict, no, no, not, no}},
		{"POST /api/v1/jobs/:id/retry", target, nil, []int{no, conflict, not, conflict, no, no, not, no}},
		{"DELETE /api/v1/jobs/:id", cancelled, nil, []int{no, gone, not, gone, no, no, not, no}},
		{"POST /api/v1/modules", nil, wasmtest.Echo(), []int{no, made, ok, ok, no, no, not, no}},
		{"POST /api/v1/inputs", nil, []byte("input"), []int{no, made, made, made, no, no, not, no}},
		{"PUT /api/v1/approvals/:id", func() string { return module }, nil, []int{no, not, not, gone, no, no, not, no}},
		{"GET /api/v1/tokens", nil, nil, []int{no, not, not, ok, no, no, not, no}},
		{"POST /api/v1/tokens", nil, []byte(`{"role":"runner"}`), []int{no, not, not, made, no, no, not, no}},
		{"DELETE /api/v1/approvals/:id", func() string {
			g.request("PUT", "/api/v1/approvals/"+module, nil, with(g.admin)...)
			return module
		}, nil, []int{no, not, not, gone, no, no, not, no}},
		{"POST /api/v1/volunteers/:id/pardon", func() string { return wire.VolunteerID(secretOf("x")) }, nil, []int{no, not, not, conflict, no, no, not, no}},
		{"DELETE /api/v1/tokens/:id", func() string { return g.submitter().ID }, nil, []int{no, not, not, gone, no, no, not, no}},
	}
	known := []string{"POST /api/v1/session", "DELETE /api/v1/session", "DELETE /api/v1/volunteers/me", "PUT /api/v1/work/:job/outputs/:hash"}
	for _, c := range all {
		known = append(known, c.route)
		method, path, _ := strings.Cut(c.route, " ")
		for i, by := range callers {
			path := path
			if c.on != nil {
				path = strings.Replace(path, ":id", c.on(), 1)
			}
			status, header, body := g.request(method, path, c.body, with(by.token, "Content-Type", "application/wasm")...)
			if status != c.want[i] {
				t.Errorf("%s by %s: %d instead of %d, %s", c.route, by.name, status, c.want[i], body)
			}
			if challenged := header.Get("WWW-Authenticate") == `Bearer realm="potluck"`; challenged != (status == no) {
				t.Errorf("%s by %s: %d with WWW-Authenticate %q", c.route, by.name, status, header.Get("WWW-Authenticate"))
			}
			for _, j := range get[api.JobPage](g.grid, "/api/v1/jobs?state=running").Jobs { // the next one is not to meet a quota
				g.request("POST", "/api/v1/jobs/"+j.ID+"/cancel", nil, with(g.admin)...)
			}
		}
	}
	for _, r := range g.server.Handler.(*echo.Echo).Routes() {
		route := strings.Replace(r.Method+" "+r.Path, ":action", "cancel", 1)
		if r.Method != http.MethodGet && r.Method != http.MethodHead && !slices.Contains(known, route) {
			t.Errorf("nobody tried who may %s", route)
		}
	}
}

// Everybody may read, whatever their token.
func TestReadingIsOpen(t *testing.T) {
	g := servePublic(t, func(c *Config) { c.Anonymous, c.Closed = false, true })
	id := g.submit(g.admin).ID
	for _, token := range []string{"", "potluck_bad", g.revoked(api.RoleSubmitter)} {
		for _, path := range []string{"/programs", "/jobs", "/jobs/" + id, "/jobs/" + id + "/tasks", "/jobs/" + id + "/tiles", "/grid", "/workers", "/leaderboard", "/session", "/approvals"} {
			if status, _, body := g.request("GET", "/api/v1"+path, nil, with(token)...); status != http.StatusOK {
				t.Errorf("GET %s with %q: %d, %s", path, token, status, body)
			}
		}
	}
	for e := range g.events("/api/v1/jobs/"+id+"/events", "") {
		if e.name != "job" {
			t.Errorf("the first event is %+v", e)
		}
		break
	}
}

// A server that listens to its own machine only asks nobody for a token, but
// for those that a proxy brings, or a name that is not this machine's.
func TestOpenGrid(t *testing.T) {
	g := serve(t, t.TempDir(), func(c *Config) { c.Hosts = []string{"grid.lan"} })
	if s := get[api.Session](g, "/api/v1/session"); !s.Open || s.Role != api.RoleAdmin {
		t.Errorf("on an open grid I am %+v", s)
	}
	made := post[api.CreatedToken](g, "/api/v1/tokens", api.NewToken{Role: api.RoleAdmin})
	j := post[api.Job](g, "/api/v1/jobs", json.RawMessage(square))
	cancel := "/api/v1/jobs/" + j.ID + "/cancel"
	for _, header := range [][]string{{"X-Forwarded-For", "203.0.113.7"}, {"Forwarded", "for=203.0.113.7"}, {"Origin", "https://grid.example", "Sec-Fetch-Site", "same-origin"}} {
		g.refuses("POST", cancel, nil, http.StatusUnauthorized, "--behind-proxy", header...)
		if status, _, body := g.request("GET", "/api/v1/tokens", nil, append(with(made.Token), header...)...); status != http.StatusOK {
			t.Errorf("with a token: %d, %s", status, body)
		}
	}
	if status, _ := g.by("grid.lan", "/api/v1/tokens"); status != http.StatusUnauthorized {
		t.Errorf("by another name: %d", status)
	}
	if status, _, body := g.request("POST", cancel, nil); status != http.StatusOK {
		t.Errorf("from here: %d, %s", status, body)
	}
}

// The first admin's token is made once, is theirs alone to read, and is made anew
// only when no admin is left.
func TestFirstAdmin(t *testing.T) {
	var log bytes.Buffer
	dir := t.TempDir()
	start := func() *grid {
		t.Helper()
		c := Config{
			Addr: "0.0.0.0:0", Data: dir, TaskTime: time.Minute, TaskOutput: 1 << 20, TaskMemory: 64 << 20, NATSReplicas: 1,
			NetworkV4: 24, NetworkV6: 48, MaxJobs: 1, MaxPerAddress: 1, Anonymous: true, SubmitterJobs: 1, SubmitterBytes: 1, RefereeShare: 1,
		}
		a, err := Start(t.Context(), c, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { a.Close(t.Context()) })
		return &grid{App: a, t: t}
	}
	g := &public{grid: start(), dir: dir}
	info, err := os.Stat(filepath.Join(dir, "admin-token"))
	if err != nil || info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
		t.Fatalf("the file with the token: %v, %v", info, err)
	}
	g.admin = g.adminToken()
	var tokens []api.Token
	g.until("the use of the token to be noted", func() bool {
		tokens = getWith[[]api.Token](g.grid, "/api/v1/tokens", g.admin)
		return len(tokens) == 1 && tokens[0].Role == api.RoleAdmin && !tokens[0].Used.IsZero()
	})
	g.Close(t.Context())
	g.grid = start()
	if again := g.adminToken(); again != g.admin {
		t.Error("the second start made another token")
	}
	g.revoke(tokens[0].ID)
	g.Close(t.Context())
	g.grid = start()
	if again := g.adminToken(); again == g.admin {
		t.Error("without an admin no new token was made")
	}
	g.Close(t.Context())
	if text := log.String(); strings.Contains(text, "potluck_") || !strings.Contains(text, "admin-token") {
		t.Errorf("the log says %s", text)
	}
}

// getWith reads JSON with a token.
func getWith[T any](g *grid, path, token string) (v T) {
	g.t.Helper()
	status, _, data := g.request("GET", path, nil, with(token)...)
	if err := json.Unmarshal(data, &v); err != nil || status != http.StatusOK {
		g.t.Fatalf("GET %s: %d, %s", path, status, data)
	}
	return v
}

// A token is shown once. Afterwards it is neither in a listing nor in a log,
// and the ledger has only its hash.
func TestTokensAreSecret(t *testing.T) {
	g := servePublic(t, nil)
	made := g.token(api.NewToken{Role: api.RoleSubmitter, Name: "Ada", Expires: time.Now().Add(time.Hour)})
	if len(made.Token) < 30 || !strings.HasPrefix(made.Token, "potluck_") {
		t.Errorf("the token is %q", made.Token)
	}
	secret := made.Token[strings.LastIndex(made.Token, "_")+1:]
	j := g.submit(made.Token)
	_, header, list := g.request("GET", "/api/v1/tokens", nil, with(g.admin)...)
	if strings.Contains(string(list), secret) || strings.Contains(string(list), "hash") || !strings.Contains(string(list), "Ada") || header.Get("Cache-Control") != "no-store" {
		t.Errorf("the list is %s", list)
	}
	if _, _, body := g.request("GET", "/api/v1/jobs/"+j.ID, nil); strings.Contains(string(body), secret) || j.Owner != made.ID {
		t.Errorf("the job is %s", body)
	}
	js, err := jetstream.New(g.ledger.Conn())
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := js.KeyValue(t.Context(), "tokens")
	if err != nil {
		t.Fatal(err)
	}
	entry, err := bucket.Get(t.Context(), made.ID)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(entry.Value()), secret) || !strings.Contains(string(entry.Value()), `"hash"`) {
		t.Errorf("the bucket has %s", entry.Value())
	}
}

// Tokens that cannot be are refused.
func TestBadTokens(t *testing.T) {
	g := servePublic(t, nil)
	for body, says := range map[string]string{
		`{"role":"king"}`:      "admin, submitter or runner",
		`{"role":"anonymous"}`: "admin, submitter or runner",
		`{"role":"runner","name":"` + strings.Repeat("x", 41) + `"}`: "40 characters",
		`{"role":"runner","name":"a\nb"}`:                            "one line",
		`{"role":"runner","expires":"2001-01-01T00:00:00Z"}`:         "expired before",
	} {
		g.refuses("POST", "/api/v1/tokens", []byte(body), http.StatusUnprocessableEntity, says, with(g.admin)...)
	}
	g.refuses("POST", "/api/v1/tokens", []byte(`{"rule":"x"}`), http.StatusBadRequest, "unknown field", with(g.admin)...)
	g.refuses("DELETE", "/api/v1/tokens/none", nil, http.StatusNotFound, "not known", with(g.admin)...)
	g.refuses("DELETE", "/api/v1/tokens/%3E", nil, http.StatusNotFound, "not known", with(g.admin)...)
	g.refuses("PUT", "/api/v1/approvals/short", nil, http.StatusUnprocessableEntity, "64 hexadecimal", with(g.admin)...)
	g.refuses("DELETE", "/api/v1/approvals/"+strings.Repeat("ab", 32), nil, http.StatusNotFound, "not known", with(g.admin)...)
}

// Without a token: built-in programs, one job at a time from an address, at the
// usual priority, and nothing at all if the grid says so.
func TestAnonymous(t *testing.T) {
	g := servePublic(t, nil)
	ada, bob := []string{"X-Forwarded-For", "203.0.113.7"}, []string{"X-Forwarded-For", "203.0.113.8"}
	six, same := []string{"X-Forwarded-For", "2001:db8::1"}, []string{"X-Forwarded-For", "2001:db8::2"}
	first := post[api.Job](g.grid, "/api/v1/jobs", square, ada...)
	if first.Owner != "anonymous" {
		t.Errorf("the owner is %q", first.Owner)
	}
	g.refuses("POST", "/api/v1/jobs", square, http.StatusTooManyRequests, "one at a time", ada...)
	post[api.Job](g.grid, "/api/v1/jobs", square, bob...)
	post[api.Job](g.grid, "/api/v1/jobs", square, six...)
	g.refuses("POST", "/api/v1/jobs", square, http.StatusTooManyRequests, "one at a time", same...)
	g.refuses("POST", "/api/v1/jobs/"+first.ID+"/cancel", nil, http.StatusUnauthorized, "potluck token create", ada...)
	post[api.Job](g.grid, "/api/v1/jobs/"+first.ID+"/cancel", nil, with(g.admin)...)
	post[api.Job](g.grid, "/api/v1/jobs", square, ada...)
	g.refuses("POST", "/api/v1/jobs", []byte(`{"program":"square","priority":2}`), http.StatusUnprocessableEntity, "at most 1", "X-Forwarded-For", "203.0.113.9")

	g = servePublic(t, func(c *Config) { c.Anonymous = false })
	g.refuses("POST", "/api/v1/jobs", square, http.StatusUnauthorized, "only from those whom it knows")
	g.refuses("POST", "/api/v1/jobs/preview", square, http.StatusUnauthorized, "only from those whom it knows")
	g.submit(g.submitter().Token)
}

// Many requests at once get no more than one after the other.
func TestAnonymousAtOnce(t *testing.T) {
	g := servePublic(t, nil)
	var made sync.Map
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			if status, _, body := g.request("POST", "/api/v1/jobs", square); status == http.StatusCreated {
				made.Store(string(body), true)
			}
		})
	}
	wait.Wait()
	n := 0
	made.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("%d jobs were made at once", n)
	}
}

// One preview at a time from an address; others have theirs.
func TestAnonymousPreviews(t *testing.T) {
	g := servePublic(t, nil)
	slow := []byte(`{"program":"sleeper","params":{"tasks":100000,"work":10000}}`)
	first := make(chan int, 1)
	go func() {
		status := http.StatusTooManyRequests
		for status == http.StatusTooManyRequests { // the one that asks below was faster
			status, _, _ = g.request("POST", "/api/v1/jobs/preview", slow)
		}
		first <- status
	}()
	g.until("a preview to be under way", func() bool {
		status, _, _ := g.request("POST", "/api/v1/jobs/preview", []byte("{}"))
		return status == http.StatusTooManyRequests
	})
	g.refuses("POST", "/api/v1/jobs/preview", []byte("{}"), http.StatusUnprocessableEntity, "no program is called", "X-Forwarded-For", "203.0.113.9")
	if status := <-first; status != http.StatusOK {
		t.Errorf("the first preview: %d", status)
	}
	g.refuses("POST", "/api/v1/jobs/preview", []byte("{}"), http.StatusUnprocessableEntity, "no program is called")
}

// Strangers' programs run when an admin approved them, and no longer than that.
func TestApproval(t *testing.T) {
	g := servePublic(t, nil)
	wasm := []string{"Content-Type", "application/wasm"}
	p := g.refuses("POST", "/api/v1/modules", wasmtest.Echo(), http.StatusUnauthorized, "potluck approve ", wasm...)
	_, rest, _ := strings.Cut(p.Detail, "module ")
	source := rest[:64]
	if source != string(sandbox.Hash(wasmtest.Echo())) {
		t.Errorf("it asks for an approval of %s, which is not what was sent", source)
	}
	published, err := profile.Publish(wasmtest.Echo(), 64<<20)
	if err != nil {
		t.Fatal(err)
	}
	id := string(published.ID)
	job, _ := json.Marshal(api.NewJob{Program: id, Input: api.Input{Text: "a\n"}})
	if status, _, body := g.request("PUT", "/api/v1/approvals/"+source, nil, with(g.admin)...); status != http.StatusNoContent {
		t.Fatalf("approve: %d, %s", status, body)
	}
	if m := post[api.Module](g.grid, "/api/v1/modules", wasmtest.Echo(), wasm...); m.ID != id || !m.Approved {
		t.Errorf("published is %+v", m)
	}
	post[api.Preview](g.grid, "/api/v1/jobs/preview", json.RawMessage(job))
	post[api.Job](g.grid, "/api/v1/jobs", json.RawMessage(job))
	if ids := get[[]string](g.grid, "/api/v1/approvals"); !slices.Equal(ids, []string{source}) {
		t.Errorf("approved are %v", ids)
	}
	if status, _, body := g.request("DELETE", "/api/v1/approvals/"+id, nil, with(g.admin)...); status != http.StatusNoContent {
		t.Fatalf("withdraw: %d, %s", status, body)
	}
	for _, path := range []string{"/api/v1/jobs", "/api/v1/jobs/preview"} {
		g.refuses("POST", path, job, http.StatusUnauthorized, "not approved")
	}
	if m := get[api.Module](g.grid, "/api/v1/modules/"+id+"/info"); m.Approved {
		t.Error("it is still approved")
	}
	post[api.Job](g.grid, "/api/v1/jobs", json.RawMessage(job), with(g.submitter().Token)...)
}

// An approval of the time before profiles names the module as it was published
// then. It stays good, though the module has another id now.
func TestApprovalsOutliveProfiles(t *testing.T) {
	g := servePublic(t, nil)
	wasm := []string{"Content-Type", "application/wasm"}
	first := string(profile.FirstID(wasmtest.Echo(), 64<<20))
	if status, _, body := g.request("PUT", "/api/v1/approvals/"+first, nil, with(g.admin)...); status != http.StatusNoContent {
		t.Fatalf("approve: %d, %s", status, body)
	}
	m := post[api.Module](g.grid, "/api/v1/modules", wasmtest.Echo(), wasm...)
	if m.ID == first || m.Profile != sandbox.Profile {
		t.Errorf("published is %+v", m)
	}
}

// A submitter has so many jobs that have not ended, and stores so many bytes.
func TestQuota(t *testing.T) {
	g := servePublic(t, func(c *Config) { c.SubmitterJobs, c.SubmitterBytes = 2, 100_000 })
	s := g.submitter().Token
	first := g.submit(s)
	g.submit(s)
	g.refuses("POST", "/api/v1/jobs", square, http.StatusTooManyRequests, "a submitter may have 2", with(s)...)
	g.submit(g.submitter().Token)
	g.submit(g.admin)
	post[api.Job](g.grid, "/api/v1/jobs/"+first.ID+"/cancel", nil, with(s)...)
	last := g.submit(s)

	g.refuses("POST", "/api/v1/inputs", make([]byte, 100_001), http.StatusRequestEntityTooLarge, "100000 bytes", with(s)...)
	upload := post[api.Upload](g.grid, "/api/v1/inputs", bytes.Repeat([]byte("1234567\n"), 10_000), with(s)...)
	g.refuses("POST", "/api/v1/inputs", make([]byte, 20_000), http.StatusRequestEntityTooLarge, "after a day", with(s)...)
	module := post[api.Module](g.grid, "/api/v1/modules", wasmtest.Echo(), with(s, "Content-Type", "application/wasm")...)
	job, _ := json.Marshal(api.NewJob{Program: module.ID, Input: api.Input{Upload: upload.ID}})
	post[api.Job](g.grid, "/api/v1/jobs/"+last.ID+"/cancel", nil, with(s)...)
	before := len(get[api.JobPage](g.grid, "/api/v1/jobs").Jobs)
	g.refuses("POST", "/api/v1/jobs", job, http.StatusRequestEntityTooLarge, "delete jobs", with(s)...)
	if now := len(get[api.JobPage](g.grid, "/api/v1/jobs").Jobs); now != before {
		t.Error("a job that was refused is there")
	}
	post[api.Job](g.grid, "/api/v1/jobs", json.RawMessage(job), with(g.admin)...)
}

// A browser logs in with a cookie that no script reads and no other site sends.
func TestSession(t *testing.T) {
	g := servePublic(t, nil)
	s := g.token(api.NewToken{Role: api.RoleSubmitter, Name: "Ada"})
	login, _ := json.Marshal(api.Login{Token: " " + s.Token + "\n"})
	status, header, body := g.request("POST", "/api/v1/session", login)
	var who api.Session
	if err := json.Unmarshal(body, &who); err != nil || status != http.StatusOK || who.Role != api.RoleSubmitter || who.ID != s.ID || who.Name != "Ada" || who.Open || !who.Anonymous {
		t.Fatalf("the login: %d, %s", status, body)
	}
	set := header.Get("Set-Cookie")
	for _, flag := range []string{"HttpOnly", "SameSite=Strict", "Path=/api", "Max-Age="} {
		if !strings.Contains(set, flag) {
			t.Errorf("the cookie lacks %s: %s", flag, set)
		}
	}
	if strings.Contains(set, "Secure") || strings.Contains(string(body), s.Token) {
		t.Errorf("over plain HTTP: %s, %s", set, body)
	}
	if _, header, _ := g.request("POST", "/api/v1/session", login, "X-Forwarded-Proto", "https"); !strings.Contains(header.Get("Set-Cookie"), "Secure") {
		t.Errorf("over HTTPS: %s", header.Get("Set-Cookie"))
	}
	cookie := []string{"Cookie", strings.Split(set, ";")[0]}
	here := append(slices.Clone(cookie), "Sec-Fetch-Site", "same-origin")
	j := post[api.Job](g.grid, "/api/v1/jobs", square, here...)
	if j.Owner != s.ID {
		t.Errorf("the job's owner is %q", j.Owner)
	}
	for _, c := range []struct{ method, path string }{
		{"POST", "/api/v1/jobs/" + j.ID + "/cancel"}, {"DELETE", "/api/v1/jobs/" + j.ID}, {"PUT", "/api/v1/approvals/" + strings.Repeat("ab", 32)}, {"POST", "/api/v1/session"}, {"DELETE", "/api/v1/session"},
	} {
		for _, from := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"}} {
			g.refuses(c.method, c.path, nil, http.StatusForbidden, "own pages", append(slices.Clone(cookie), from...)...)
		}
	}
	post[api.Job](g.grid, "/api/v1/jobs/"+j.ID+"/cancel", nil, here...)
	if _, header, _ := g.request("DELETE", "/api/v1/session", nil, here...); !strings.Contains(header.Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("after the logout: %s", header.Get("Set-Cookie"))
	}
	g.revoke(s.ID)
	status, header, body = g.request("GET", "/api/v1/session", nil, cookie...)
	if err := json.Unmarshal(body, &who); err != nil || who.Role != api.RoleAnonymous || !strings.Contains(header.Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("with a revoked token: %d, %s, %s", status, body, header.Get("Set-Cookie"))
	}
	g.refuses("POST", "/api/v1/session", login, http.StatusUnauthorized, "revoked")
	g.refuses("POST", "/api/v1/session", []byte("token"), http.StatusBadRequest, "not a login")
	runner, _ := json.Marshal(api.Login{Token: g.token(api.NewToken{Role: api.RoleRunner}).Token})
	g.refuses("POST", "/api/v1/session", runner, http.StatusForbidden, "potluck-worker")
}

// A runner's token opens a closed grid to a worker, until it is revoked: then
// what the worker sends next ends its session and counts for nothing.
func TestRunners(t *testing.T) {
	g := servePublic(t, func(c *Config) { c.Closed = true })
	runner := g.token(api.NewToken{Role: api.RoleRunner})
	for _, token := range []string{"", "potluck_wrong", g.admin, g.expired(api.RoleRunner), g.revoked(api.RoleRunner)} {
		w := &worker{t: t, conn: g.dial()}
		w.hello("Eve", token, 1)
		if m := w.receive(); m.Refused == nil || m.Refused.Code != wire.CodeToken || m.Refused.Reason == "" {
			t.Errorf("with %q: %+v", token, m)
		}
		_ = w.conn.CloseNow()
	}
	job := g.submit(g.admin)
	w := &worker{t: t, conn: g.dial()}
	w.hello("Ada", runner.Token, 1)
	lease := w.leases(1)[0]
	g.revoke(runner.ID)
	w.send(wire.FromWorker{Results: []wire.Result{{Lease: lease.ID, Output: []byte("evil")}}})
	if m := w.receive(); m.Refused == nil || m.Refused.Code != wire.CodeToken {
		t.Errorf("after it was revoked: %+v", m)
	}
	if j := get[api.Job](g.grid, "/api/v1/jobs/"+job.ID); j.Tasks.Done != 0 || len(j.Failures) > 0 {
		t.Errorf("what a revoked runner sent counted: %+v", j)
	}
}
