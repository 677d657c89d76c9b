package api

import (
	"cmp"
	"context"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"
	"github.com/labstack/echo/v4"

	"potluck/server/assemble"
	"potluck/server/dispatch"
	"potluck/server/ledger"
)

// view shows a job, with the newest progress that this server has heard of.
func (a *API) view(j *ledger.Job) Job { return viewJob(j, a.hub.latest(j.ID), a.called) }

// called is what people call a volunteer: their name, or their id if they have none.
func (a *API) called(volunteer string) string {
	return cmp.Or(a.Ledger.Alias(volunteer).Name, volunteer)
}

func viewJob(j *ledger.Job, p dispatch.Progress, called func(volunteer string) string) Job {
	v := Job{
		ID: j.ID, Title: j.Title, Program: j.Program, Module: string(j.Module), Profile: max(1, j.Profile), State: JobState(j.State),
		Reason: j.Reason, Policy: j.Policy, Priority: j.Priority, Created: j.Created, Owner: j.Owner, Finished: j.Finished,
		Media: j.Media, Bytes: j.Result.Size, TaskSeconds: float64(p.Mean) / 1e6,
		Args: j.Args, Collect: Collect(j.Collect), Split: j.Split,
		Tasks:   Tasks{Total: j.Tasks, Done: p.Done, Lent: p.Lent, Waiting: p.Waiting, Voting: p.Voting, Skipped: p.Skipped},
		OnError: OnErrorFail, Skipped: viewSkips(p.Skips),
	}
	if j.OnError == ledger.OnErrorSkip {
		v.OnError = OnErrorSkip
	}
	if j.Params.Object == "" {
		v.Params = j.Params.Inline
	}
	if j.State.Final() {
		v.Tasks = Tasks{Total: j.Tasks, Done: j.Done, Skipped: j.Skipped}
		v.TaskSeconds = float64(j.Mean) / 1e6
	} else {
		v.Reason = cmp.Or(j.Reason, p.Stuck) // it has one while it is on hold
	}
	if j.State.Final() && !j.Skips.IsZero() {
		v.Skipped = viewSkips(readTries(j.Skips.Inline))
	}
	if v.Failures = viewFailures(p.Failures, called); j.State.Final() && len(p.Failures) == 0 {
		v.Failures = viewFailures(readTries(j.Failures.Inline), called)
	}
	return v
}

func viewFailures(tries []dispatch.Failing, called func(volunteer string) string) (view []Failure) {
	for _, f := range tries {
		view = append(view, Failure{
			Task: f.Task, By: called(f.By), Reason: f.Reason, Stderr: f.Stderr, Input: f.Input, At: time.UnixMilli(f.At).UTC(),
		})
	}
	return view
}

func viewSkips(tries []dispatch.Failing) (view []Skipped) {
	for _, f := range tries {
		view = append(view, Skipped{Task: f.Task, Reason: f.Reason})
	}
	return view
}

// readTries reads what the foreman stored.
func readTries(data []byte) (tries []dispatch.Failing) {
	_ = json.Unmarshal(data, &tries) // without them, or damaged, there are none to show
	return tries
}

// inRange checks a number from 1 to most; 0 stands for the usual one.
func inRange(name string, given, usual, most int) (int, error) {
	switch {
	case given == 0:
		return usual, nil
	case given < 1 || given > most:
		return 0, refuse(http.StatusUnprocessableEntity, "%s is from 1 to %d", name, most)
	}
	return given, nil
}

// ListJobs lists jobs. A cursor is the id of the last job of the page before.
func (a *API) ListJobs(c echo.Context, params ListJobsParams) error {
	limit, err := inRange("limit", params.Limit, 50, 200)
	if err != nil {
		return err
	}
	if params.State != "" && !slices.Contains(ledger.States(), ledger.State(params.State)) {
		return refuse(http.StatusUnprocessableEntity, "no job is ever %q: states are running, paused, done, failed and cancelled", params.State)
	}
	if utf8.RuneCountInString(params.Q) > maxTitle {
		return refuse(http.StatusUnprocessableEntity, "q has more than %d characters", maxTitle)
	}
	all := a.Ledger.Jobs()
	if params.Cursor != "" {
		all = all[sort.Search(len(all), func(i int) bool { return all[i].ID < params.Cursor }):]
	}
	page := JobPage{Jobs: []Job{}}
	for _, j := range all {
		if params.State != "" && ledger.State(params.State) != j.State || !mentions(j, params.Q) {
			continue
		}
		if len(page.Jobs) == limit {
			page.Next = page.Jobs[limit-1].ID
			break
		}
		page.Jobs = append(page.Jobs, a.view(j))
	}
	return c.JSON(http.StatusOK, page)
}

// mentions says whether a job has a text in its title, program or id, in
// whatever case.
func mentions(j *ledger.Job, text string) bool {
	text = strings.ToLower(text)
	return slices.ContainsFunc([]string{j.Title, j.Program, j.ID}, func(s string) bool {
		return strings.Contains(strings.ToLower(s), text)
	})
}

// GetJob shows a job.
func (a *API) GetJob(c echo.Context, id string) error {
	j, err := a.Ledger.Job(id)
	if err != nil {
		return err
	}
	if !j.State.Final() {
		a.refresh(c.Request().Context(), id)
	}
	v := a.view(j)
	if j.Params.Object != "" {
		if v.Params, err = a.Ledger.ReadBlob(c.Request().Context(), j.Params); err != nil {
			return err
		}
	}
	if j.Failures.Object != "" && len(v.Failures) == 0 {
		data, err := a.Ledger.ReadBlob(c.Request().Context(), j.Failures)
		if err != nil {
			return err
		}
		v.Failures = viewFailures(readTries(data), a.called)
	}
	if j.Skips.Object != "" && j.State.Final() {
		data, err := a.Ledger.ReadBlob(c.Request().Context(), j.Skips)
		if err != nil {
			return err
		}
		v.Skipped = viewSkips(readTries(data))
	}
	return c.JSON(http.StatusOK, v)
}

// ChangeJob cancels, pauses, resumes or retries.
func (a *API) ChangeJob(c echo.Context, id string, action JobAction) error {
	change := map[JobAction]struct {
		from []ledger.State
		to   ledger.State
	}{
		JobActionCancel: {[]ledger.State{ledger.Running, ledger.Paused}, ledger.Cancelled},
		JobActionPause:  {[]ledger.State{ledger.Running}, ledger.Paused},
		JobActionResume: {[]ledger.State{ledger.Paused}, ledger.Running},
		JobActionRetry:  {[]ledger.State{ledger.Failed}, ledger.Running},
	}
	step, ok := change[action]
	if !ok {
		return refuse(http.StatusNotFound, "a job can be cancelled, paused, resumed or retried, not %q", action)
	}
	p := callerOf(c)
	j, err := a.Ledger.Job(id)
	if err == nil {
		err = p.mayChange(j) // an owner never changes
	}
	if err != nil {
		return err
	}
	if j.Alarm && action == JobActionResume && p.role != RoleAdmin {
		return refuse(http.StatusForbidden, "job %s is on hold until an admin has decided: %s", id, j.Reason)
	}
	if action == JobActionRetry {
		release, err := a.reserve(c.Request().Context(), p, ledger.Usage{Jobs: 1})
		if err != nil {
			return err
		}
		defer release()
	}
	j, err = a.Ledger.UpdateJob(c.Request().Context(), id, func(j *ledger.Job) error {
		if j.Damaged && action == JobActionRetry {
			return refuse(http.StatusConflict, "%s", j.Reason)
		}
		if !slices.Contains(step.from, j.State) {
			return refuse(http.StatusConflict, "a job that is %s cannot be told to %s", j.State, action)
		}
		j.Decided = j.Decided || j.Alarm && action == JobActionResume
		j.State, j.Reason, j.Finished, j.Failures, j.Alarm, j.Kept = step.to, "", time.Time{}, ledger.Blob{}, false, 0
		j.Skipped, j.Skips = 0, ledger.Blob{}
		if step.to == ledger.Cancelled {
			j.Finished, j.Done = time.Now(), a.hub.latest(id).Done
		}
		return nil
	})
	if err == nil && j.Decided && action == JobActionResume {
		err = a.resumeOthers(c.Request().Context(), j)
	}
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, a.view(j))
}

// resumeOthers resumes what is on hold for the same reason as a job on which an
// admin has decided.
func (a *API) resumeOthers(ctx context.Context, decided *ledger.Job) error {
	for _, other := range a.Ledger.Jobs() {
		if other.Module != decided.Module || !other.Alarm {
			continue
		}
		_, err := a.Ledger.UpdateJob(ctx, other.ID, func(j *ledger.Job) error {
			if j.Alarm && j.State == ledger.Paused {
				j.State, j.Reason, j.Alarm, j.Decided = ledger.Running, "", false, true
			}
			return nil
		})
		if err != nil && !errors.Is(err, ledger.ErrNotFound) {
			return err
		}
	}
	return nil
}

// DeleteJob deletes a job that has ended.
func (a *API) DeleteJob(c echo.Context, id string) error {
	j, err := a.Ledger.Job(id)
	if err != nil {
		return err
	}
	if err := callerOf(c).mayChange(j); err != nil {
		return err
	}
	if !j.State.Final() {
		return refuse(http.StatusConflict, "the job is still %s: cancel it first", j.State)
	}
	if err := a.Ledger.DeleteJob(c.Request().Context(), id); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// ListTasks says who computed what. A cursor is the number of the next task.
func (a *API) ListTasks(c echo.Context, id string, params ListTasksParams) error {
	j, err := a.Ledger.Job(id)
	if err != nil {
		return err
	}
	accept := c.Request().Header.Get(echo.HeaderAccept)
	switch {
	case strings.HasPrefix(accept, "application/x-ndjson"):
		return a.streamTasks(c, j, "application/x-ndjson", func(w http.ResponseWriter) (func(Task) error, func() error) {
			return func(t Task) error { return json.NewEncoder(w).Encode(t) }, nil
		})
	case strings.HasPrefix(accept, "text/csv"):
		return a.streamTasks(c, j, "text/csv", csvTasks)
	}
	limit, err := inRange("limit", params.Limit, 100, 1000)
	if err != nil {
		return err
	}
	from := 0
	if params.Cursor != "" {
		if from, err = strconv.Atoi(params.Cursor); err != nil || from < 0 {
			return refuse(http.StatusUnprocessableEntity, "cursor %q is not one that a page gave", params.Cursor)
		}
	}
	tasks, next, err := a.tasksFrom(c.Request().Context(), j, from, limit, params.All)
	if err != nil {
		return err
	}
	page := TaskPage{Tasks: tasks}
	if next >= 0 {
		page.Next = strconv.Itoa(next)
	}
	return c.JSON(http.StatusOK, page)
}

// tasksFrom gives up to n tasks from a task on, and where to go on, or -1: of
// those that are done, or also of the others if they are wanted.
func (a *API) tasksFrom(ctx context.Context, j *ledger.Job, from, n int, open bool) ([]Task, int, error) {
	if j.State == ledger.Done {
		return a.storedRecords(ctx, j, from, n)
	}
	data, err := a.ask(ctx, j.ID, dispatch.Query{Want: dispatch.WantTasks, From: from, N: n, Open: open})
	var page dispatch.Tasks
	if err == nil {
		err = dispatch.Decode(data, &page)
	}
	if err != nil {
		return nil, 0, err
	}
	tasks := make([]Task, 0, len(page.Done)+len(page.Open))
	for _, r := range page.Done {
		tasks = append(tasks, a.viewTask(r))
	}
	for _, o := range page.Open {
		tasks = append(tasks, a.viewOpen(o))
	}
	slices.SortFunc(tasks, func(a, b Task) int { return cmp.Compare(a.Task, b.Task) })
	return tasks, page.Next, nil
}

func (a *API) storedRecords(ctx context.Context, j *ledger.Job, from, n int) ([]Task, int, error) {
	tasks := []Task{}
	reader := a.Ledger.OpenChunks(j.Records)
	end := min(from+n, j.Tasks)
	for i := from; i < end; i++ {
		data, err := reader.Get(ctx, i)
		if err != nil {
			return nil, 0, err
		}
		var r assemble.Record
		if err := cbor.Unmarshal(data, &r); err != nil {
			return nil, 0, err
		}
		tasks = append(tasks, a.viewTask(r))
	}
	if end >= j.Tasks {
		end = -1
	}
	return tasks, end, nil
}

func (a *API) viewTask(r assemble.Record) Task {
	t := Task{
		Task: r.Task, State: TaskStateDone, Lent: at(r.Lent), Accepted: at(r.Accepted),
		Tries: max(r.Tries, len(r.Voters)), Dissents: r.Dissents, Refereed: r.Sure,
		Bytes: r.Bytes, Hash: hex.EncodeToString(r.Hash), Volunteers: []Voter{},
	}
	if r.Skipped != "" {
		t.State, t.Reason = TaskStateSkipped, r.Skipped
	}
	for _, v := range r.Voters {
		t.Volunteers = append(t.Volunteers, Voter{ID: v.ID, Name: a.Ledger.Alias(v.ID).Name, Ms: v.Millis})
	}
	return t
}

func (a *API) viewOpen(o dispatch.Open) Task {
	t := Task{Task: o.Task, State: TaskState(o.State), Lent: at(o.Lent), Tries: o.Tries, Volunteers: []Voter{}}
	for _, s := range o.Shares {
		t.Volunteers = append(t.Volunteers, Voter{ID: s.Person.ID, Name: a.Ledger.Alias(s.Person.ID).Name, Ms: s.Millis, State: VoterState(s.State)})
	}
	return t
}

// at is a time in milliseconds since 1970; 0 is none.
func at(millis int64) time.Time {
	if millis == 0 {
		return time.Time{}
	}
	return time.UnixMilli(millis).UTC()
}

// stamp writes a time for a table, nothing if there is none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

// streamTasks writes all records one by one.
func (a *API) streamTasks(c echo.Context, j *ledger.Job, media string, open func(http.ResponseWriter) (func(Task) error, func() error)) error {
	ctx := c.Request().Context()
	tasks, next, err := a.tasksFrom(ctx, j, 0, 1000, false)
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderContentType, media)
	write, end := open(c.Response())
	for {
		for _, t := range tasks {
			if err := write(t); err != nil {
				return err
			}
		}
		if next < 0 {
			break
		}
		if tasks, next, err = a.tasksFrom(ctx, j, next, 1000, false); err != nil {
			return err
		}
	}
	if end != nil {
		return end()
	}
	return nil
}

// noFormula has spreadsheets take a stranger's text for text: what begins like a
// formula begins with an apostrophe instead.
func noFormula(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r＝＋－＠", []rune(text)[0]) {
		return "'" + text
	}
	return text
}

// csvTasks writes a line for each volunteer of each task.
func csvTasks(w http.ResponseWriter) (func(Task) error, func() error) {
	out := csv.NewWriter(w)
	_ = out.Write([]string{"task", "volunteer", "name", "ms", "lent", "accepted", "bytes", "hash"}) // Flush says
	write := func(t Task) error {
		for _, v := range t.Volunteers {
			err := out.Write([]string{
				strconv.Itoa(t.Task), v.ID, noFormula(v.Name), strconv.FormatInt(v.Ms, 10), stamp(t.Lent),
				stamp(t.Accepted), strconv.Itoa(t.Bytes), t.Hash,
			})
			if err != nil {
				return fmt.Errorf("write CSV: %w", err)
			}
		}
		return nil
	}
	return write, func() error { out.Flush(); return out.Error() }
}
