package browser

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"potluck/client"
)

// public starts a grid that takes jobs from those only whom it knows, and speaks
// as its admin.
func public(t *testing.T) *grid {
	t.Helper()
	g := start(t, "--behind-proxy", "--anonymous=false")
	token, err := os.ReadFile(filepath.Join(g.Data, "admin-token"))
	if err == nil {
		err = g.As(strings.TrimSpace(string(token)))
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// A person is told that the grid wants to know them before they fill anything in,
// logs in, comes back to where they were, and changes their own jobs and no others.
func TestLogin(t *testing.T) {
	axe, err := os.ReadFile(axePath)
	if err != nil {
		t.Fatal(err)
	}
	g := public(t)
	token := g.token(client.RoleSubmitter)
	id := strings.Split(token, "_")[1]
	others := g.submit(client.NewJob{Program: "sleeper"})
	tab := newBrowser(t).open(g.URL + "/submit?program=square")
	tab.expected = true // a token is refused
	tab.says("takes jobs only from those whom it knows")
	if read[bool](tab, `document.body.innerText.includes('Create the job')`) {
		t.Error("there is a form that leads to nothing")
	}
	tab.look("submit-stranger", string(axe))
	tab.press("Log in")
	tab.says("It begins with potluck_")
	tab.look("login", string(axe))
	tab.do(chromedp.SendKeys("input[type=password]", "potluck_no_token\r", chromedp.NodeVisible))
	tab.says("not known here")
	tab.do(chromedp.KeyEvent(token + "\r")) // what was wrong is selected
	tab.says("Create the job")
	tab.says("submitter " + id)
	tab.press("Create the job")
	tab.says("by you")
	tab.until(`[...document.querySelectorAll('button')].some((b) => b.innerText.trim() === 'Cancel')`)
	if cookie := read[string](tab, "document.cookie"); cookie != "" {
		t.Errorf("a script can read %q", cookie)
	}
	tab.do(chromedp.Navigate(g.URL + "/jobs/" + others.ID))
	tab.says("Somebody else submitted this job")
	if read[bool](tab, `[...document.querySelectorAll('button')].some((b) => b.innerText.trim() === 'Cancel')`) {
		t.Error("another's job can be cancelled")
	}
	tab.look("job-of-another", string(axe))
	tab.do(chromedp.Navigate(g.URL + "/login"))
	tab.says("change your own jobs")
	tab.look("logged-in", string(axe))
	tab.press("Log out")
	tab.says("It begins with potluck_")
	if answer := read[int](tab, `fetch('/api/v1/jobs', {method: 'POST', body: '{"program":"square"}'}).then((r) => r.status)`); answer != 401 {
		t.Errorf("after the logout: %d", answer)
	}
}
