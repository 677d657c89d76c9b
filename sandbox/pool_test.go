package sandbox

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A sleeper is a child whose programs take as long as their inputs say.
type sleeper struct {
	requests chan Request
	outcomes chan Outcome
	killed   chan struct{}
	kill     sync.Once
}

func newSleeper() Child {
	s := &sleeper{requests: make(chan Request, Window), outcomes: make(chan Outcome, Window), killed: make(chan struct{})}
	go s.work()
	return s
}

func (s *sleeper) work() {
	for {
		select {
		case r := <-s.requests:
			took := time.Duration(0)
			if r.Task != nil {
				took, _ = time.ParseDuration(string(r.Task.Input))
			}
			select {
			case <-time.After(took):
				s.outcomes <- Outcome{Took: took}
			case <-s.killed:
				return
			}
		case <-s.killed:
			return
		}
	}
}

func (s *sleeper) Send(r Request)           { s.requests <- r }
func (s *sleeper) Outcomes() <-chan Outcome { return s.outcomes }
func (s *sleeper) Kill()                    { s.kill.Do(func() { close(s.killed) }) }
func (s *sleeper) ExitReason() Failure      { return Failure{Crash, "it died"} }
func (s *sleeper) KeepsTime() bool          { return false }

// pool runs a test with a pool of one executor, and one for what is brief.
func pool(t *testing.T, f func(*testing.T, *Pool)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := NewPool(1, newSleeper)
		defer p.Close()
		f(t, p)
	})
}

// long is a task that may compute for minutes.
func long(takes string) Task { return Task{Input: []byte(takes), Time: 5 * time.Minute} }

// begin runs a task in the background, and gives its outcome later.
func begin(s Share, t Task) <-chan Outcome {
	done := make(chan Outcome, 1)
	go func() { done <- s.Run(context.Background(), t) }()
	synctest.Wait()
	return done
}

// What is brief does not wait for what is long.
func TestBriefTasksDoNotWaitForLongOnes(t *testing.T) {
	pool(t, func(t *testing.T, p *Pool) {
		endless := begin(p.For(Account{"Mal", "1"}), long("10m"))
		began := time.Now()
		if o := p.For(Account{"Ada", "2"}).Run(t.Context(), Task{Input: []byte("1s"), Time: Brief}); o.Failure != nil || time.Since(began) != time.Second {
			t.Errorf("%+v after %v", o, time.Since(began))
		}
		if o := <-endless; o.Failure == nil || o.Failure.Kind != Time {
			t.Errorf("what overruns: %+v", o)
		}
	})
}

// A long task gives way to other accounts' and has more time in each of its next
// turns: in the end it ends too, with its own failure.
func TestEndlessTasksGiveWay(t *testing.T) {
	pool(t, func(t *testing.T, p *Pool) {
		endless := begin(p.For(Account{"Mal", "1"}), long("10m"))
		for range 3 {
			began := time.Now()
			if o := p.For(Account{"Ada", "2"}).Run(t.Context(), long("1s")); o.Failure != nil || time.Since(began) > 41*time.Second {
				t.Errorf("%+v after %v", o, time.Since(began))
			}
		}
		began := time.Now()
		if o := <-endless; o.Failure == nil || o.Failure.Kind != Time || time.Since(began) > 6*time.Minute {
			t.Errorf("what overruns: %+v after %v", o, time.Since(began))
		}
	})
}

// Two that overrun fail both, and each in its own time.
func TestTwoEndlessTasksEndBoth(t *testing.T) {
	pool(t, func(t *testing.T, p *Pool) {
		one, other := begin(p.For(Account{"Mal", "1"}), long("10m")), begin(p.For(Account{"Eve", "2"}), long("10m"))
		began := time.Now()
		for _, done := range []<-chan Outcome{one, other} {
			if o := <-done; o.Failure == nil || o.Failure.Kind != Time {
				t.Errorf("%+v", o)
			}
		}
		if took := time.Since(began); took > 25*time.Minute {
			t.Errorf("after %v", took)
		}
	})
}

// However much one owner wants at once, and however many jobs they have, another
// one has half, and each job of an owner the same.
func TestTurnsAreSharedByOwnerAndJob(t *testing.T) {
	pool(t, func(t *testing.T, p *Pool) {
		done := map[Account]int{}
		var mu sync.Mutex
		ctx, stop := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		work := func(a Account, callers int) {
			for range callers {
				wait.Go(func() {
					for ctx.Err() == nil {
						if o := p.For(a).Run(ctx, long("1s")); o.Failure == nil {
							mu.Lock()
							done[a]++
							mu.Unlock()
						}
					}
				})
			}
		}
		work(Account{"Mal", "1"}, 30)
		work(Account{"Mal", "2"}, 1)
		work(Account{"Ada", "3"}, 2)
		time.Sleep(400 * time.Second)
		stop()
		wait.Wait()
		for a, want := range map[Account]int{{"Mal", "1"}: 100, {"Mal", "2"}: 100, {"Ada", "3"}: 200} {
			if n := done[a]; n < want-5 || n > want+5 {
				t.Errorf("%v had %d turns instead of %d", a, n, want)
			}
		}
	})
}

// Who comes later starts level with the others: nobody catches up on turns that
// they did not want.
func TestTurnsAreNotSavedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := NewTurns(1, 0)
		order := make(chan string, 8)
		turn := func(owner string) {
			w, err := turns.Take(t.Context(), Account{Owner: owner})
			if err != nil {
				t.Error(err)
			}
			order <- owner
			time.Sleep(time.Second)
			w.Leave()
		}
		for range 10 {
			turn("early")
			<-order
		}
		var wait sync.WaitGroup
		for range 2 {
			for _, owner := range []string{"early", "late"} {
				wait.Go(func() { turn(owner) })
				synctest.Wait()
			}
		}
		got := []string{<-order, <-order, <-order, <-order}
		for i, owner := range []string{"early", "late", "early", "late"} {
			if got[i] != owner {
				t.Errorf("the turns went to %v", got)
			}
		}
		wait.Wait()
	})
}

// What the jobs of an owner have had is not forgotten when another owner comes.
func TestTurnsOfAnOwnersJobsOutlastOthersComing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := NewTurns(1, 0)
		order := make(chan Account, 6)
		var wait sync.WaitGroup
		come := func(a Account) {
			wait.Go(func() {
				w, err := turns.Take(t.Context(), a)
				if err != nil {
					t.Error(err)
				}
				order <- a
				time.Sleep(map[string]time.Duration{"long": 10, "short": 1, "other": 1}[a.Job] * time.Second)
				w.Leave()
			})
			synctest.Wait()
		}
		long, short := Account{"Ada", "long"}, Account{"Ada", "short"}
		for _, a := range []Account{long, long, short, short, short} {
			come(a)
		}
		time.Sleep(10*time.Second + 500*time.Millisecond)
		come(Account{"Bob", "other"})
		wait.Wait()
		close(order)
		var hers []string
		for a := range order {
			if a.Owner == "Ada" {
				hers = append(hers, a.Job)
			}
		}
		if !slices.Equal(hers, []string{"long", "short", "short", "short", "long"}) {
			t.Errorf("Ada's turns went to %v", hers)
		}
	})
}

// Who does not wait any more has no place, and what is idle is forgotten.
func TestTurnsForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := NewTurns(1, 1)
		first, err := turns.Take(t.Context(), Account{"Ada", "1"})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, err := turns.Take(ctx, Account{string(rune('a' + i)), "1"}); err == nil {
				t.Error("two have one place")
			}
			cancel()
		}
		first.Leave()
		last, err := turns.Take(t.Context(), Account{"Bob", "1"})
		if err != nil || len(turns.owners) != 1 || len(turns.jobs) != 1 || len(turns.waiting) != 0 || turns.places != 0 || turns.kept != 1 {
			t.Errorf("%v: %+v", err, turns)
		}
		last.Leave()
	})
}
