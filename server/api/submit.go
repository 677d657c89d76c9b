package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"potluck/contract"
	"potluck/sandbox"
	"potluck/server/assemble"
	"potluck/server/ledger"
	"potluck/server/library"
	"potluck/server/program"
)

// Limits on what a submitter sends.
const (
	maxJSON     = 64 << 10 // bytes of a body in JSON
	maxKey      = 128      // characters of an Idempotency-Key
	maxTitle    = 120      // characters
	minPriority = 0.01
	maxPriority = 100
)

// CreateJob takes a job. Its inputs are stored first and its record last: what
// has no record is no job.
func (a *API) CreateJob(c echo.Context, params CreateJobParams) error {
	body, err := readBody(c)
	if err != nil {
		return err
	}
	p, ctx := callerOf(c), c.Request().Context()
	k, err := newKey(p, params.IdempotencyKey, body)
	if err != nil {
		return err
	}
	id, done, err := a.made(ctx, k)
	if err != nil {
		return err
	}
	if done == nil {
		wanted, err := parseJob(body)
		if err != nil {
			return err
		}
		if done, err = a.submit(ctx, p, id, k, wanted); err != nil {
			return err
		}
	}
	c.Response().Header().Set(echo.HeaderLocation, "/api/v1/jobs/"+done.ID)
	return c.JSON(http.StatusCreated, a.view(done))
}

func readBody(c echo.Context) ([]byte, error) {
	return io.ReadAll(http.MaxBytesReader(c.Response(), c.Request().Body, maxJSON))
}

func parseJob(body []byte) (wanted NewJob, err error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err = d.Decode(&wanted); err != nil {
		return wanted, refuse(http.StatusBadRequest, "the body is not a job: %v", err)
	}
	if err = checkArgs(body, wanted.Args); err == nil && !utf8.Valid(body) {
		err = refuse(http.StatusBadRequest, "the body is not a job: it is not in UTF-8")
	}
	return wanted, err
}

// checkArgs checks the arguments of a job, also as they are in its JSON.
func checkArgs(body []byte, args []string) error {
	var raw struct{ Args []json.RawMessage }
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&raw); err != nil {
		return err
	}
	for i, arg := range args {
		err := program.CheckArg(arg)
		if err == nil {
			err = program.CheckRawArg(raw.Args[i])
		}
		if err != nil {
			return refuseField(fmt.Sprintf("/args/%d", i), err)
		}
	}
	return nil
}

// A key is an Idempotency-Key as the ledger knows it, and the hash of what came
// with it. The zero key is none.
type key struct{ name, body string }

func newKey(p caller, given string, body []byte) (key, error) {
	switch {
	case given == "":
		return key{}, nil
	case len(given) > maxKey:
		return key{}, refuse(http.StatusUnprocessableEntity, "the Idempotency-Key has more than %d characters", maxKey)
	}
	return key{hash([]byte(p.owner() + "\n" + given)), hash(body)}, nil
}

// made gives the id for a new job, or the job that an earlier request of the same
// caller with the same key has made.
func (a *API) made(ctx context.Context, k key) (id string, done *ledger.Job, err error) {
	if k == (key{}) {
		return ledger.NewID(), nil, nil
	}
	first, err := a.Ledger.Noted(ctx, k.name)
	if errors.Is(err, ledger.ErrNotFound) {
		return ledger.NewID(), nil, nil
	}
	if err != nil {
		return "", nil, err
	}
	id, sum, _ := strings.Cut(first, " ")
	if sum != k.body {
		return "", nil, refuse(http.StatusUnprocessableEntity, "this Idempotency-Key came with another body before: take a new key for a new job")
	}
	if done, err = a.Ledger.Job(id); errors.Is(err, ledger.ErrNotFound) {
		return id, nil, nil
	}
	return id, done, err
}

// errOther says that another request with the same key is about to make the job,
// or was cut off there.
var errOther = errors.New("another request has the key")

// note keeps a key, now that a job is all but made: nothing is kept for those that
// are refused.
func (a *API) note(ctx context.Context, k key, id string) error {
	if k == (key{}) {
		return nil
	}
	first, err := a.Ledger.Once(ctx, k.name, id+" "+k.body)
	if err == nil && first != id+" "+k.body {
		err = errOther
	}
	return err
}

// A draft is a job on its way into the ledger.
type draft struct {
	*ledger.Job
	// prefix is of what this try stores: another one may be under way for the
	// same job, with the same Idempotency-Key, and only one of them stays.
	prefix  string
	by      caller
	program *program.Program
	params  []byte
}

// account is whose turns a draft takes in the sandbox.
func (d *draft) account() sandbox.Account { return d.by.account() }

// submit makes a job, unless another request with the same key does.
func (a *API) submit(ctx context.Context, p caller, id string, k key, wanted NewJob) (*ledger.Job, error) {
	for {
		j, err := a.trySubmit(ctx, p, id, k, wanted)
		if !errors.Is(err, errOther) {
			return j, err
		}
		if id, j, err = a.made(ctx, k); err != nil || j != nil {
			return j, err
		}
	}
}

func (a *API) trySubmit(ctx context.Context, p caller, id string, k key, wanted NewJob) (*ledger.Job, error) {
	d, err := a.draft(ctx, p, id, wanted)
	if err != nil {
		return nil, err
	}
	release, err := a.reserve(ctx, p, ledger.Usage{Jobs: 1})
	if err != nil {
		return nil, err
	}
	defer release()
	err = a.fill(ctx, d, wanted.Input)
	if err == nil {
		if err = a.store(ctx, p, k, d); errors.Is(err, ledger.ErrStore) {
			return nil, err // it may have arrived all the same; if it has not, Sweep clears up
		}
	}
	if err != nil {
		cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if err := a.Ledger.Discard(cleanup, d.prefix); err != nil {
			a.Log.Warn("could not discard what a refused job had stored", "job", id, "error", err)
		}
	}
	if errors.Is(err, ledger.ErrExists) {
		return a.Ledger.ReadJob(ctx, id)
	}
	return d.Job, err
}

// store makes a job of a draft whose inputs are stored, if its caller may have
// so much.
func (a *API) store(ctx context.Context, p caller, k key, d *draft) error {
	release, err := a.reserve(ctx, p, ledger.Usage{Bytes: d.Bytes + d.Params.Size})
	if err != nil {
		return err
	}
	defer release()
	if err := a.note(ctx, k, d.ID); err != nil {
		return err
	}
	if err := a.Ledger.CreateJob(ctx, d.Job); err != nil {
		return err
	}
	a.settle(p, d.ID)
	return nil
}

// draft checks all that can be checked before anything is stored.
func (a *API) draft(ctx context.Context, by caller, id string, wanted NewJob) (*draft, error) {
	m, err := a.Library.Resolve(ctx, wanted.Program)
	if unknown, ok := errors.AsType[*library.Unknown](err); ok {
		return nil, refuseField("/program", unknown)
	}
	if err != nil {
		return nil, err
	}
	if err := a.mayRun(ctx, by, names(m)...); err != nil {
		return nil, err
	}
	p, err := a.Library.Program(ctx, m.ID)
	if err != nil {
		return nil, err
	}
	d := &draft{by: by, program: p, prefix: id + "." + ledger.NewID(), Job: &ledger.Job{
		ID: id, Module: m.ID, Profile: m.Profile, State: ledger.Running, Created: time.Now().UTC().Truncate(time.Millisecond),
		Owner: by.owner(), Title: wanted.Title, Policy: cmp.Or(wanted.Policy, a.usualPolicy()), Priority: wanted.Priority, Args: wanted.Args,
	}}
	if err := d.options(wanted); err != nil {
		return nil, err
	}
	if by.role == RoleAnonymous && d.Priority > 1 {
		return nil, refuseField("/priority", errors.New("without a token a priority is at most 1"))
	}
	if d.params, err = p.CheckParams(wanted.Params); err != nil {
		return nil, err
	}
	if d.splits() && wanted.Input != (Input{}) {
		return nil, refuseField("/input", fmt.Errorf("%s makes its tasks from parameters and takes no input", d.Program))
	}
	return d, nil
}

// usualPolicy is the trust policy of jobs that name none: on a grid that is open
// to its own machine only, all that compute are the submitter's own.
func (a *API) usualPolicy() string {
	if a.Open {
		return "trusted"
	}
	return "adaptive"
}

// splits says whether the program makes its tasks itself.
func (d *draft) splits() bool { return d.program.Manifest != nil && d.program.Has(contract.Split) }

// options checks the small things and fills in what was left out.
func (d *draft) options(wanted NewJob) (err error) {
	if _, err := program.ParsePolicy(d.Policy); err != nil {
		return refuseField("/policy", err)
	}
	switch wanted.OnError {
	case "", OnErrorFail:
	case OnErrorSkip:
		d.OnError = ledger.OnErrorSkip
	default:
		return refuseField("/on_error", fmt.Errorf("on_error is fail or skip, not %q", wanted.OnError))
	}
	if d.Priority == 0 {
		d.Priority = 1
	}
	if d.Priority < minPriority || d.Priority > maxPriority {
		return refuseField("/priority", fmt.Errorf("a priority is from %v to %v", minPriority, maxPriority))
	}
	if d.Collect, err = contract.ParseCollect(string(wanted.Collect)); err != nil {
		return refuseField("/collect", err)
	}
	d.Media = assemble.MediaType(d.Collect)
	if manifest := d.program.Manifest; manifest != nil {
		if len(d.Args) > 0 {
			return refuseField("/args", fmt.Errorf("%s takes parameters, not arguments", manifest.Name))
		}
		d.Program, d.Media = manifest.Name, manifest.Result
		if wanted.Collect == "" || d.Collect == manifest.Collect { // to ask for the usual changes nothing
			d.Collect = manifest.Collect
		} else if !manifest.Has(contract.Reduce) && !manifest.Has(contract.Render) {
			d.Media = assemble.MediaType(d.Collect)
		}
	}
	if d.Title == "" {
		d.Title = d.Program
	}
	if d.Title == "" {
		d.Title = "module " + string(d.Module[:12])
	}
	if utf8.RuneCountInString(d.Title) > maxTitle {
		return refuseField("/title", fmt.Errorf("a title has at most %d characters", maxTitle))
	}
	if !contract.Plain(d.Title) {
		return refuseField("/title", errors.New("a title is one line, without control or format characters"))
	}
	return nil
}

// fill stores parameters and inputs, and puts the first task of a new module
// through the determinism gate.
func (a *API) fill(ctx context.Context, d *draft, in Input) (err error) {
	d.Params, err = a.Ledger.PutBlob(ctx, d.prefix+".params", bytes.NewReader(d.params), int64(len(d.params)), string(sandbox.Hash(d.params)))
	if err != nil {
		return err
	}
	w := a.Ledger.NewChunks(ctx, d.prefix+".inputs")
	var first []byte
	inputs, err := a.inputs(ctx, d, in, func(input []byte) error {
		if w.Count() == 0 {
			first = bytes.Clone(input)
		}
		return w.Add(input)
	})
	if err != nil {
		return err
	}
	if err := a.Library.Gate(ctx, d.program, d.program.MapArgs(d.Args), first, d.account()); err != nil {
		return err
	}
	d.Tasks, d.Largest, d.Bytes = inputs.Count, inputs.Largest, inputs.Bytes
	d.Inputs, err = w.Close()
	return err
}

// inputs has every input of the job kept, within the limits of a job, and says
// how many there are.
func (a *API) inputs(ctx context.Context, d *draft, in Input, keep func([]byte) error) (program.Inputs, error) {
	inputs := program.Inputs{Keep: keep}
	err := a.split(ctx, d, in, inputs.Add)
	if err == nil && inputs.Count == 0 {
		err = refuseField("/input", program.ErrNoTasks)
	}
	return inputs, err
}

// mend makes what is wrong with inputs the submitter's to mend, unless it is
// the grid's fault.
func mend(ctx context.Context, field string, err error) error {
	if err == nil || ledger.Trouble(err) != "" || ctx.Err() != nil {
		return err
	}
	return refuseField(field, err)
}

// split gives every input of the job to add.
func (a *API) split(ctx context.Context, d *draft, in Input, add func([]byte) error) error {
	if d.splits() {
		return mend(ctx, "/params", d.program.Split(ctx, a.Pool.For(d.account()), d.params, add))
	}
	if in.Job != "" {
		return a.copyInputs(ctx, d, in, add)
	}
	d.Split = in.Split
	if d.Split == "" && d.program.Manifest != nil {
		d.Split = d.program.Manifest.Split
	}
	if d.Split == "" {
		d.Split = "lines"
	}
	s, err := program.ParseSplitter(d.Split)
	if err != nil {
		return refuseField("/input/split", err)
	}
	data, err := a.open(ctx, s, in)
	if err != nil {
		return err
	}
	return mend(ctx, "/input", s.Split(data, add))
}

// madeElsewhere is the splitter of inputs that the program of another job made.
const madeElsewhere = "job"

// copyInputs gives the inputs of another job to add, as they were cut for it.
func (a *API) copyInputs(ctx context.Context, d *draft, in Input, add func([]byte) error) error {
	switch {
	case in.Text != "" || in.Upload != "":
		return refuseField("/input", errOneInput)
	case in.Split != "":
		return refuseField("/input/split", errors.New("the inputs of a job are taken as they were cut for it: leave split out"))
	}
	gone := refuseField("/input/job", fmt.Errorf("there is no job %q here: give the input itself", in.Job))
	other, err := a.Ledger.Job(in.Job)
	if err != nil {
		return gone
	}
	d.Split = cmp.Or(other.Split, madeElsewhere)
	reader := a.Ledger.OpenChunks(other.Inputs)
	for i := range other.Tasks {
		input, err := reader.Get(ctx, i)
		if errors.Is(err, ledger.ErrNotFound) {
			return gone // deleted while it was read
		}
		if err != nil {
			return err
		}
		if err := add(input); err != nil {
			return mend(ctx, "/input/job", err)
		}
	}
	return nil
}

var errOneInput = errors.New("give text, an upload or a job, only one of them")

// open gives the data that an input is split from.
func (a *API) open(ctx context.Context, s *program.Splitter, in Input) (io.Reader, error) {
	given := in.Text != "" || in.Upload != ""
	switch {
	case !s.NeedsData() && given:
		return nil, refuseField("/input", errors.New("a range makes its inputs itself: leave text and upload out"))
	case s.NeedsData() && !given:
		return nil, refuseField("/input", errors.New("this program works on an input: give text, an upload, a job with the same one, or the splitter range:FROM:TO"))
	case in.Text != "" && in.Upload != "":
		return nil, refuseField("/input", errOneInput)
	case in.Upload != "":
		data, err := a.Ledger.OpenUpload(ctx, in.Upload)
		if errors.Is(err, ledger.ErrNotFound) {
			err = refuseField("/input/upload", errors.New("there is no such upload; uploads are kept for a day: send it again"))
		}
		return data, err
	}
	return strings.NewReader(in.Text), nil
}

// CreateModule publishes a module.
func (a *API) CreateModule(c echo.Context) error {
	if t := c.Request().Header.Get(echo.HeaderContentType); t != "application/wasm" && t != echo.MIMEOctetStream {
		return refuse(http.StatusUnsupportedMediaType, "send the bytes of the module as application/wasm, not as %q", t)
	}
	data, err := io.ReadAll(http.MaxBytesReader(c.Response(), c.Request().Body, sandbox.MaxModule))
	if err != nil {
		return err
	}
	m, isNew, err := a.publish(c.Request().Context(), callerOf(c), data)
	if err != nil {
		return err
	}
	if !isNew {
		return a.showModule(c, http.StatusOK, m)
	}
	c.Response().Header().Set(echo.HeaderLocation, "/api/v1/modules/"+string(m.ID))
	return a.showModule(c, http.StatusCreated, m)
}

// publish publishes a module that its caller may publish.
func (a *API) publish(ctx context.Context, p caller, data []byte) (m *ledger.Module, isNew bool, err error) {
	known, err := a.Library.Names(data)
	if err == nil {
		err = a.mayRun(ctx, p, known...)
	}
	if err != nil {
		return nil, false, err
	}
	release, err := a.reserve(ctx, p, ledger.Usage{Bytes: int64(len(data))})
	if err != nil {
		return nil, false, err
	}
	defer release()
	return a.Library.Publish(ctx, data, p.account())
}

// CreateInput keeps data for jobs to come.
func (a *API) CreateInput(c echo.Context) error {
	p, length := callerOf(c), c.Request().ContentLength
	if length > program.MaxInputs {
		return &http.MaxBytesError{Limit: program.MaxInputs} // nothing of it is read
	}
	if length < 0 {
		length = program.MaxInputs // as much as may come
	}
	release, err := a.reserve(c.Request().Context(), p, ledger.Usage{Bytes: length})
	if err != nil {
		return err
	}
	defer release()
	upload := Upload{ID: ledger.NewID()}
	body := &counter{r: http.MaxBytesReader(c.Response(), c.Request().Body, program.MaxInputs)}
	if err := a.Ledger.PutUpload(c.Request().Context(), upload.ID, p.owner(), body); err != nil {
		return err
	}
	upload.Bytes = body.n
	return c.JSON(http.StatusCreated, upload)
}

type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
