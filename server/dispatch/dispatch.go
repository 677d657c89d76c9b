// Package dispatch is what gateways, foremen and the API say to each other:
// CBOR messages over core NATS, in one process or between many. Nothing here is
// durable; whoever asks asks again.
package dispatch

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/nats-io/nats.go"

	"potluck/server/assemble"
	"potluck/wire"
)

// Subjects. The epoch in a job's subjects names its owner: a new owner has new
// subjects, and nobody answers on the old ones.
const (
	SubjectOffers   = "potluck.offers"     // Offer: foremen to gateways
	SubjectAsk      = "potluck.offers.ask" // empty: a gateway that begins asks for offers
	SubjectProgress = "potluck.progress"   // Progress: foremen to the API
	SubjectForget   = "potluck.forget"     // a volunteer's id: the API to gateways, not to keep their name
	SubjectRevoke   = "potluck.revoke."    // + gateway: Revoke: foremen to a gateway
	SubjectEnded    = "potluck.ended"      // Query: the API to any foreman, of a job that failed or was cancelled
	take            = "take"
	report          = "report"
	returned        = "return"
	gone            = "gone"
	deposit         = "deposit"
)

// Subject is where the owner of a job hears one verb, or all of them for "*".
func Subject(job string, epoch uint64, verb string) string {
	return fmt.Sprintf("potluck.job.%s.%d.%s", job, epoch, verb)
}

// QuerySubject is where the owner of a job answers a Query.
func QuerySubject(job string) string { return "potluck.query." + job }

// An Offer says that a job has tasks to lend, or has none any more.
type Offer struct {
	Job     string  `cbor:"1,keyasint"`
	Epoch   uint64  `cbor:"2,keyasint"`
	Version uint64  `cbor:"3,keyasint"` // grows whenever it is worth asking again
	Waiting int     `cbor:"4,keyasint"` // tasks that could be lent now; negative: the job is over
	Weight  float64 `cbor:"5,keyasint"`
	Mean    int64   `cbor:"6,keyasint"`           // microseconds a task
	Profile int     `cbor:"7,keyasint,omitempty"` // that a worker must have; 0 stands for the first
	// More is how many tasks may be lent to some though none waits: spot checks of
	// newcomers, and what is far back in the queue of another worker.
	More int `cbor:"8,keyasint,omitempty"`
}

// Tasks is how many tasks an offer has, for some of those who ask.
func (o Offer) Tasks() int { return o.Waiting + o.More }

// A Person is a volunteer as jobs know them. What they are called is in the ledger.
type Person struct {
	ID      string `cbor:"1,keyasint"`
	Trusted bool   `cbor:"3,keyasint,omitempty"` // this worker has a runner's token
	Network uint32 `cbor:"4,keyasint,omitempty"` // that they come from; 0 if that does not matter
	Kind    string `cbor:"5,keyasint,omitempty"` // what computes for them: engine and platform, as the worker says, like "wazero linux/arm64" or "browser"
}

// InBrowser says whether a browser's tab computes for a person. A tab has no clock
// of its own for the computing that a task has had.
func (p Person) InBrowser() bool { return strings.HasPrefix(p.Kind, "browser") }

// Take asks for tasks.
type Take struct {
	Person Person `cbor:"1,keyasint"`
	Worker string `cbor:"2,keyasint"` // starts with its gateway's name and a dot
	N      int    `cbor:"3,keyasint"`
	Slots  int    `cbor:"4,keyasint,omitempty"` // tasks that the worker computes at a time; 0 if the gateway is of an older release
}

// Taken are tasks lent.
type Taken struct {
	Tasks []Task `cbor:"1,keyasint,omitempty"`
	Full  bool   `cbor:"2,keyasint,omitempty"` // the worker has as many as it may have until it answers some
}

// A Task is lent with its input, or with the input's SHA-256 if that is large.
type Task struct {
	Task  uint32 `cbor:"1,keyasint"`
	Input []byte `cbor:"2,keyasint,omitempty"`
	Hash  []byte `cbor:"3,keyasint,omitempty"`
}

// Report brings answers of one worker.
type Report struct {
	Person  Person   `cbor:"1,keyasint"`
	Worker  string   `cbor:"2,keyasint"`
	Answers []Answer `cbor:"3,keyasint"`
}

// An Answer is a worker's result for a task; its lease was verified.
type Answer struct {
	Task    uint32        `cbor:"1,keyasint"`
	Output  []byte        `cbor:"2,keyasint,omitempty"`
	Hash    []byte        `cbor:"3,keyasint,omitempty"` // SHA-256 of an output that was stored as an object
	Failure *wire.Failure `cbor:"4,keyasint,omitempty"`
	Micros  int64         `cbor:"5,keyasint"`
}

// Reported says what became of each answer, in their order.
type Reported struct {
	Verdicts []Verdict `cbor:"1,keyasint"`
}

// A Verdict is what became of an answer.
type Verdict struct {
	Status wire.Status `cbor:"1,keyasint"`
	Reason string      `cbor:"2,keyasint,omitempty"`
}

// Return gives leases back, not computed; with no tasks it says that the worker is gone.
type Return struct {
	Person Person   `cbor:"1,keyasint"`
	Worker string   `cbor:"2,keyasint"`
	Tasks  []uint32 `cbor:"3,keyasint,omitempty"`
}

// Deposit asks whether an output that is too large for a message may be stored.
// No key is used as in Return, which an older foreman takes it for.
type Deposit struct {
	Task   uint32 `cbor:"3,keyasint"`
	Hash   []byte `cbor:"4,keyasint"` // SHA-256 of the output
	Bytes  int64  `cbor:"5,keyasint"` // at most
	Stored bool   `cbor:"6,keyasint,omitempty"`
	Person Person `cbor:"7,keyasint"`
}

// Deposited answers a Deposit; without a field set the output may be stored.
type Deposited struct {
	Ended bool `cbor:"1,keyasint,omitempty"` // the lease has ended
	Full  bool `cbor:"2,keyasint,omitempty"` // the volunteer, or all strangers, have as much as they may
}

// Revoke tells a worker that a task need not be computed any more.
type Revoke struct {
	Worker string `cbor:"1,keyasint"`
	Job    string `cbor:"2,keyasint"`
	Task   uint32 `cbor:"3,keyasint"`
}

// Progress is how far a job is.
type Progress struct {
	Job      string    `cbor:"1,keyasint"`
	Total    int       `cbor:"2,keyasint"`
	Done     int       `cbor:"3,keyasint"` // validated and durable
	Lent     int       `cbor:"4,keyasint"` // copies being computed
	Waiting  int       `cbor:"5,keyasint"`
	Voting   int       `cbor:"6,keyasint"` // tasks with a result that waits for others
	Mean     int64     `cbor:"7,keyasint"` // microseconds a task
	Failures []Failing `cbor:"8,keyasint,omitempty"`
	Stuck    string    `cbor:"9,keyasint,omitempty"`  // why nothing moves, for people
	Skipped  int       `cbor:"10,keyasint,omitempty"` // tasks that were left out
	Skips    []Failing `cbor:"11,keyasint,omitempty"` // the first of them
}

// A Failing is one failed try of a task.
type Failing struct {
	Task   int    `cbor:"1,keyasint" json:"task"`
	By     string `cbor:"2,keyasint" json:"by"` // the volunteer's id
	Reason string `cbor:"3,keyasint" json:"reason"`
	Stderr string `cbor:"4,keyasint,omitempty" json:"stderr,omitempty"`
	At     int64  `cbor:"5,keyasint" json:"at"`                        // milliseconds since 1970
	Input  string `cbor:"6,keyasint,omitempty" json:"input,omitempty"` // how the task's input begins, if it is text
}

// A Query asks the owner of a job for something that only they have, or any
// foreman for what is left of one that failed or was cancelled.
type Query struct {
	Want string `cbor:"1,keyasint"`
	From int    `cbor:"2,keyasint,omitempty"`
	N    int    `cbor:"3,keyasint,omitempty"`
	Open bool   `cbor:"4,keyasint,omitempty"`
	Job  string `cbor:"5,keyasint,omitempty"` // of QueryEnded
}

// What a Query wants.
const (
	WantProgress = "progress" // a Progress
	WantCredits  = "credits"  // []assemble.Credit: what is pending until the job is done
	WantPartial  = "partial"  // the bytes of the artefact, as far as it goes
	WantTasks    = "tasks"    // Tasks: N of them from From on that are done, or also Open
	WantTiles    = "tiles"    // Tiles: at most N
	WantOutput   = "output"   // the bytes of the output of task From; ErrNoOutput if it has none
)

// Tasks are some tasks of a job, those that are done and those that are not,
// each in the order of their numbers.
type Tasks struct {
	Done []assemble.Record `cbor:"1,keyasint,omitempty"`
	Open []Open            `cbor:"2,keyasint,omitempty"`
	Next int               `cbor:"3,keyasint"` // the task to go on from, -1 at the end
}

// An Open is a task that is not done.
type Open struct {
	Task   int     `cbor:"1,keyasint"`
	State  string  `cbor:"2,keyasint"`           // Computing, Voting or Waiting
	Lent   int64   `cbor:"3,keyasint,omitempty"` // when it was first lent, milliseconds since 1970
	Tries  int     `cbor:"4,keyasint,omitempty"` // volunteers that it was lent to
	Shares []Share `cbor:"5,keyasint,omitempty"`
}

// The states of a task that is not done.
const (
	Computing = "computing"
	Voting    = "voting"
	Waiting   = "waiting"
)

// A Share is what a volunteer has to do with a task that is not done.
type Share struct {
	Person Person `cbor:"1,keyasint"`
	State  string `cbor:"2,keyasint"`           // Computing, Answered or Failed
	Millis int64  `cbor:"3,keyasint,omitempty"` // of computing, once they answered or failed
}

// The states of a share, besides Computing.
const (
	Answered = "answered"
	Failed   = "failed"
)

// Tiles are the states of all tasks, Size neighbours put together.
type Tiles struct {
	Size   int      `cbor:"1,keyasint"`
	Done   []uint32 `cbor:"2,keyasint"`
	Lent   []uint32 `cbor:"3,keyasint"`
	Voting []uint32 `cbor:"4,keyasint"`
	Failed []uint32 `cbor:"5,keyasint"`
}

// Encode writes a message; the types here cannot fail to.
func Encode(v any) []byte {
	data, err := cbor.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}

// Decode reads a message.
func Decode(data []byte, v any) error { return cbor.Unmarshal(data, v) }

// ErrNobody says that no owner of the job answers now.
var ErrNobody = errors.New("nobody answers for this job at the moment")

// ErrNoOutput says that a task has no output, or none that is accepted.
var ErrNoOutput = errors.New("this task has no accepted output")

// A Fault is what a job's own program did wrong, in words for its submitter.
type Fault struct{ Words string }

func (f *Fault) Error() string { return f.Words }

// patience is how long a question waits for its answer.
const patience = 10 * time.Second

// A Client asks foremen.
type Client struct{ Conn *nats.Conn }

// Take asks the owner of a job for tasks.
func (c Client) Take(ctx context.Context, o Offer, t Take) (taken Taken, err error) {
	return taken, c.ask(ctx, Subject(o.Job, o.Epoch, take), t, &taken)
}

// Report brings answers; it returns once what was accepted is durable.
func (c Client) Report(ctx context.Context, o Offer, r Report) (reported Reported, err error) {
	return reported, c.ask(ctx, Subject(o.Job, o.Epoch, report), r, &reported)
}

// Deposit asks whether an output may be stored.
func (c Client) Deposit(ctx context.Context, o Offer, d Deposit) (said Deposited, err error) {
	return said, c.ask(ctx, Subject(o.Job, o.Epoch, deposit), d, &said)
}

// Return gives leases back, or all of them when a worker is gone.
func (c Client) Return(o Offer, r Return) error {
	verb := returned
	if len(r.Tasks) == 0 {
		verb = gone
	}
	return c.Conn.Publish(Subject(o.Job, o.Epoch, verb), Encode(r))
}

func (c Client) ask(ctx context.Context, subject string, question, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	m, err := c.Conn.RequestWithContext(ctx, subject, Encode(question))
	if errors.Is(err, nats.ErrNoResponders) {
		return ErrNobody
	}
	if err != nil {
		return fmt.Errorf("ask %s: %w", subject, err)
	}
	return Decode(m.Data, answer)
}

// answerPart is how many bytes of an answer to a query go into one message.
const answerPart = 512 << 10

// The headers of an answer's last message.
const (
	headerEnd   = "Potluck-End"
	headerError = "Potluck-Error"
	headerFault = "Potluck-Fault" // it is the program's
)

// Query asks the owner of a job and gives their whole answer.
func (c Client) Query(ctx context.Context, job string, q Query) ([]byte, error) {
	return c.query(ctx, QuerySubject(job), q)
}

// QueryEnded asks for what is left of a job that failed or was cancelled.
func (c Client) QueryEnded(ctx context.Context, job string, q Query) ([]byte, error) {
	q.Job = job
	return c.query(ctx, SubjectEnded, q)
}

func (c Client) query(ctx context.Context, subject string, q Query) ([]byte, error) {
	inbox := nats.NewInbox()
	sub, err := c.Conn.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer sub.Unsubscribe() //nolint:errcheck // it ends with the connection
	if err := c.Conn.PublishRequest(subject, inbox, Encode(q)); err != nil {
		return nil, err
	}
	var all []byte
	for {
		m, err := sub.NextMsgWithContext(ctx)
		if errors.Is(err, nats.ErrNoResponders) {
			return nil, ErrNobody
		}
		if err != nil {
			return nil, fmt.Errorf("ask %s: %w", subject, err)
		}
		all = append(all, m.Data...)
		if why := m.Header.Get(headerError); why != "" {
			return nil, failure(why, m.Header.Get(headerFault) != "")
		}
		if m.Header.Get(headerEnd) != "" {
			return all, nil
		}
	}
}

// failure is the error that an answer came with.
func failure(why string, fault bool) error {
	for _, known := range []error{ErrNobody, ErrNoOutput} {
		if why == known.Error() {
			return known
		}
	}
	if fault {
		return &Fault{why}
	}
	return errors.New(why)
}

// AnswerQuery answers a query in as many messages as it takes.
func AnswerQuery(conn *nats.Conn, reply string, data []byte, failure error) error {
	for len(data) > answerPart {
		if err := conn.Publish(reply, data[:answerPart]); err != nil {
			return err
		}
		data = data[answerPart:]
	}
	m := nats.NewMsg(reply)
	m.Data = data
	m.Header.Set(headerEnd, "1")
	if failure != nil {
		m.Header.Set(headerError, strings.ReplaceAll(failure.Error(), "\n", " "))
		if _, fault := errors.AsType[*Fault](failure); fault {
			m.Header.Set(headerFault, "1")
		}
	}
	return conn.PublishMsg(m)
}
