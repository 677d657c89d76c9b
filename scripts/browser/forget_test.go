package browser

import (
	"testing"

	"potluck/client"
)

// A tab has the name that its person gave, until it is told to forget them: then
// nobody sees the name any more, not even with what they computed.
func TestForgetMe(t *testing.T) {
	g := start(t)
	tab := newBrowser(t).open(g.URL + "/")
	tab.until(`document.querySelector('details')`)
	read[bool](tab, `document.querySelector('details').open = true`)
	tab.fill(`input[autocomplete="nickname"]`, "Ada")
	tab.press("Start computing")
	tab.says("Your answers count by themselves once 3 were confirmed by the server or by volunteers who are believed; 0 were so far.")
	j := g.submit(client.NewJob{Program: "square", Params: []byte(`{"numbers":[1,2]}`)})
	g.done(j.ID)
	names := func() (names []string) {
		page, err := g.ListTasksWithResponse(t.Context(), j.ID, &client.ListTasksParams{})
		if err != nil || page.JSON200 == nil {
			t.Fatalf("%v, %v", page, err)
		}
		for _, task := range page.JSON200.Tasks {
			names = append(names, task.Volunteers[0].Name)
		}
		return names
	}
	if got := names(); len(got) != 2 || got[0] != "Ada" {
		t.Errorf("computed by %q", got)
	}
	tab.until(`document.body.innerText.match(/Validated credit\s+2 tasks/)`)
	read[bool](tab, `(document.querySelector('details').open = true, document.querySelector('details button').click(), true)`)
	tab.says("The grid erases your name")
	read[bool](tab, `([...document.querySelectorAll('dialog[open] button')].at(-1).click(), true)`)
	tab.until(`!document.querySelector('dialog[open]')`)
	if got := names(); len(got) != 2 || got[0]+got[1] != "" {
		t.Errorf("after that, computed by %q", got)
	}
	if left := read[string](tab, `(localStorage.getItem('potluck.secret') ?? '') + JSON.parse(localStorage.getItem('potluck.donate')).name`); left != "" {
		t.Errorf("the browser still has %q", left)
	}
}
