// Package schedule decides which volunteer gets which task of a job, and which
// results count. It is a pure state machine: events go in with the time, and
// effects come out. It has no clock, no goroutine and no I/O, and its chances
// come from a seed, so the same events give the same effects, byte for byte.
//
// docs/architecture.md has its states and rules in words.
package schedule

import "fmt"

// Time is microseconds since the Unix epoch, or a span of microseconds.
type Time = int64

// Second is a second in the unit of Time.
const Second Time = 1_000_000

// Volunteer is a number that the caller gives to an identity, counting from 0.
type Volunteer = uint32

// Worker is a number that the caller gives to a connection, counting from 0.
type Worker = uint32

// A Digest is the start of the SHA-256 of an output, or of the way a task
// failed. 128 bits leave no hope of a second preimage.
type Digest [16]byte

// Trust says whose word counts.
type Trust uint8

// The policies.
const (
	// Trusted takes each volunteer's word: own machines.
	Trusted Trust = iota
	// Strict wants Quorum volunteers to agree, always.
	Strict
	// Adaptive takes the word of established volunteers, and checks some of it.
	Adaptive
)

// A Policy is a job's trust policy.
type Policy struct {
	Trust  Trust
	Quorum int // how many must agree; 1 unless Strict
}

// MaxQuorum bounds what a submitter may ask for.
const MaxQuorum = 15

// Config is what a job is to the scheduler.
type Config struct {
	Tasks  int
	Policy Policy
	// TimeLimit is the longest that one task may compute.
	TimeLimit Time
	// Seed is what chances are drawn from. Volunteers must not know it.
	Seed [32]byte
	// Established is how many volunteers of the grid are, Seniors how many of
	// them are senior, and Caught how many of those that were established turned
	// out to be liars lately.
	Established, Seniors, Caught int
	// Referees is how many tasks the referee can have at a time.
	Referees int
	// Skip has a task that cannot be done be left out, instead of ending the job.
	Skip bool
	// Decided says that the operator has decided after an alarm: who differs from
	// the referee is at fault, whatever their machine.
	Decided bool
}

// Validate says what is wrong with a configuration.
func (c Config) Validate() error {
	switch {
	case c.Tasks < 1 || c.Tasks > 1<<31:
		return fmt.Errorf("a job of %d tasks cannot be scheduled", c.Tasks)
	case c.Policy.Trust == Strict && (c.Policy.Quorum < 2 || c.Policy.Quorum > MaxQuorum):
		return fmt.Errorf("strict:%d is not a policy: from 2 to %d volunteers can have to agree", c.Policy.Quorum, MaxQuorum)
	}
	return nil
}

// EventKind says what happened.
type EventKind uint8

// The events.
const (
	Want    EventKind = iota // Worker of Volunteer, which computes Slots tasks at a time, can take N more leases
	Result                   // Volunteer answered Task with an output of Digest, having computed for Took
	Failure                  // Volunteer failed at Task in the way that Digest and Reason say, which is the fault of Blame
	Return                   // Worker gives its lease of Task back, not computed
	Gone                     // Worker is gone, and its leases with it
	Tick                     // nothing but the time; Next says when it is worth it
	Gap                      // nobody was heard for Took, for the server itself stood still
	Pause                    // lend nothing until Resume
	Hold                     // lend and accept nothing until Resume: a difference of kinds is to be looked into
	Resume
	Cancel    // the job ends now
	Know      // Volunteer has Reputation, is Trusted or not, is of Network and has a Machine of a kind
	Verdict   // the referee's own output for Task is of Digest
	NoVerdict // the referee failed at Task too, in the way that Digest and Reason say, which is the fault of Blame
	Omit      // Task was skipped before this state machine began
	Restore   // Task was accepted before this state machine began: Digest, on Votes, or Sure
)

// Blame says whose fault a failure may be.
type Blame uint8

// The faults.
const (
	OfTask    Blame = iota // the task's, as far as a volunteer can tell
	Twice                  // the machine's, until a second volunteer's fails in the same way
	Elsewhere              // the machine's, until one of another kind fails in the same way
	OfMachine              // the machine's, whoever else has it
)

// An Event is what happened; which fields count depends on its kind.
type Event struct {
	Kind      EventKind
	Volunteer Volunteer
	Worker    Worker
	Task      uint32
	N         int
	Slots     int // of the worker; 0 if that is not known
	Digest    Digest
	Took      Time
	Reason    string
	Blame     Blame

	Reputation Reputation
	Trusted    bool   // a trusted runner: their word is the referee's
	Machine    uint32 // number that the caller gives to a kind of machine; 0 if it is not known
	Network    uint32 // two volunteers of one network other than 0 have one vote
	Votes      []Vote
	Sure       bool // the referee or a trusted runner has computed it too
}

// EffectKind says what is to be done.
type EffectKind uint8

// The effects.
const (
	Lend    EffectKind = iota // lend Task to Worker of Volunteer until Deadline, which is 0 while others of its leases come first
	Accept                    // the output just reported for Task is right: Votes agree on it
	Pending                   // the result for Task counts; others are waited for
	Late                      // the result for Task is not needed: it is done
	Refuse                    // the result for Task does not count, for Reason
	Revoke                    // Worker need not go on with Task
	Confirm                   // the output just reported for Task is the accepted one: Votes agree on it now
	Retract                   // the accepted output of Task does not count any more: nobody stands by it
	Judge                     // the referee is to compute Task
	Conduct                   // Volunteer behaved as Did says: their reputation changes
	Dissent                   // Volunteer's result for Task is not the right one
	Alarm                     // the job is on hold: all with a Machine of a kind differ from the referee
	Fail                      // the job fails, for Reason: Task cannot be done
	Skip                      // Task cannot be done, for Reason, and is left out
	Finish                    // all tasks are accepted, or skipped
)

// A Vote is one volunteer's agreement with an accepted result.
type Vote struct {
	Volunteer Volunteer
	Lent      Time   // when they were lent the task; 0 if that is not known
	Millis    uint32 // how long they computed
}

// An Effect is what is to be done; which fields count depends on its kind.
type Effect struct {
	Kind      EffectKind
	Volunteer Volunteer
	Worker    Worker
	Task      uint32
	Deadline  Time
	Votes     []Vote
	Tries     int  // of an accepted task: how many volunteers had to do with it,
	Dissents  int  // and how many of them gave another result
	Sure      bool // the referee or a trusted runner has computed it too
	Did       Did
	Machine   uint32
	Reason    string
}

// Step applies one event at a time that never goes back, and appends what
// follows to effects.
func (j *Job) Step(now Time, e Event, effects []Effect) []Effect {
	j.now, j.out = max(j.now, now), effects
	if int(e.Task) >= j.config.Tasks {
		j.emit(Effect{Kind: Refuse, Task: e.Task, Volunteer: e.Volunteer, Worker: e.Worker, Reason: "the job has no such task"})
		return j.out
	}
	if j.held && !j.over && (e.Kind == Result || e.Kind == Failure || e.Kind == Verdict || e.Kind == NoVerdict) {
		j.postpone(&e)
		return j.out
	}
	switch e.Kind {
	case Want:
		j.want(&e)
	case Result:
		j.result(&e)
	case Failure:
		j.failure(&e)
	case Return:
		j.giveBack(&e)
	case Gone:
		j.gone(e.Worker)
	case Tick:
		j.expire()
		j.findLate()
		j.call()
		j.relax()
	case Gap:
		j.skip(e.Took)
	case Pause:
		j.paused = true
	case Hold:
		j.halt()
	case Resume:
		j.release()
	case Cancel:
		j.end()
	case Know:
		j.know(&e)
	case Verdict:
		j.verdict(&e)
	case NoVerdict:
		j.noVerdict(&e)
	case Omit:
		if j.states[e.Task] == fresh {
			j.leaveOut(e.Task)
		}
		return j.out
	case Restore: // the job cannot end before all are there
		j.restore(&e)
		return j.out
	}
	j.conclude()
	return j.out
}

func (j *Job) emit(e Effect) { j.out = append(j.out, e) }
