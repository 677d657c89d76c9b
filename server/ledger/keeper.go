package ledger

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// A keeper looks after the embedded store, which does not heal by itself: a
// stream that could not be written once, because there was no room or no file, is
// never written to again. So nothing is written while there is hardly any room,
// and a stream that met with an error is opened anew once there is.
type keeper struct {
	config server.JetStreamConfig
	// suspect says that something went wrong, and the streams are worth a look.
	suspect atomic.Bool
	// broken says that there are streams that take nothing any more.
	broken atomic.Bool
	opened time.Time // when the store was opened last

	mu   sync.Mutex
	life context.Context //nolint:containedctx // from one opening of the store to the next
	end  context.CancelCauseFunc
}

const (
	// diskReserve is how many bytes of the disk are left alone: to delete takes room too,
	// and the store itself writes more than it is told to.
	diskReserve = 32 << 20
	// keepEvery is how often the keeper looks.
	keepEvery = time.Second
	// openEvery is how long an opening of the store is given before the next.
	openEvery = 2 * time.Second
)

// errOpened ends what waits for an answer that will not come.
var errOpened = fmt.Errorf("%w (it was opened anew)", ErrStore)

// begin starts another life of the store, and ends what waits for the one before.
func (k *keeper) begin() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.end != nil {
		k.end(errOpened)
	}
	k.life, k.end = context.WithCancelCause(context.Background())
}

// while gives a context that ends with this life of the store too.
func (k *keeper) while(ctx context.Context) (context.Context, context.CancelFunc) {
	k.mu.Lock()
	life := k.life
	k.mu.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(life, func() { cancel(context.Cause(life)) })
	return ctx, func() { stop(); cancel(nil) }
}

// over is closed at the end of this life of the store.
func (k *keeper) over() <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.life.Done()
}

// Room says why nothing can be written now, nil if it can.
func (l *Ledger) Room() error {
	switch {
	case l.embedded == nil:
		return nil
	case l.short():
		return ErrDisk
	}
	return l.sound()
}

// short says whether hardly anything is left of the disk.
func (l *Ledger) short() bool {
	free, _ := disk(l.config.Dir)
	return free < diskReserve
}

// sound says whether the store can be written to as far as it goes.
func (l *Ledger) sound() error {
	if l.keeper.broken.Load() {
		return ErrStore
	}
	return nil
}

// write does what writes to the store, if it can be written to.
func (l *Ledger) write(ctx context.Context, do func(context.Context) error) error {
	if err := l.Room(); err != nil {
		return err
	}
	return l.erase(ctx, do)
}

// erase does what makes room: it may use what is left of it.
func (l *Ledger) erase(ctx context.Context, do func(context.Context) error) error {
	if err := l.sound(); err != nil {
		return err
	}
	within, cancel := l.keeper.while(ctx)
	defer cancel()
	err := do(within)
	if err != nil && ctx.Err() == nil && errors.Is(context.Cause(within), errOpened) {
		err = fmt.Errorf("%w (%w)", errOpened, err)
	}
	err = sort(err)
	if l.failing.Store(errors.Is(err, ErrStore)); l.failing.Load() || errors.Is(err, ErrDisk) {
		l.keeper.suspect.Store(true)
	}
	return err
}

// keep watches the embedded store, and opens it anew when that helps.
func (l *Ledger) keep(ctx context.Context) {
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	short := false
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if was := short; was != l.short() {
			if short = !was; short {
				l.config.Log.Error("the disk is full: jobs wait, and new ones are refused", "needed", diskReserve)
			} else {
				l.config.Log.Info("there is room on the disk again")
			}
		}
		if l.keeper.suspect.Swap(false) && !l.keeper.broken.Load() {
			if ill := l.ill(); ill != "" {
				l.config.Log.Error("the store cannot be written to; it is opened anew once there is room", "reason", ill)
				l.keeper.broken.Store(true)
				l.keeper.begin() // nobody answers who waits now
			}
		}
		if l.keeper.broken.Load() && !short && time.Since(l.keeper.opened) > openEvery {
			if err := l.reopen(ctx); err != nil && ctx.Err() == nil {
				l.config.Log.Error("the store cannot be opened anew; trying again", "error", err)
			}
		}
	}
}

// ill says what is wrong with the streams of the embedded store.
func (l *Ledger) ill() string {
	for _, e := range l.embedded.Healthz(&server.HealthzOptions{Details: true}).Errors {
		// A stream that is being made or deleted is missing for a moment.
		if e.Type == server.HealthzErrorJetStream || strings.Contains(e.Error, "write error") {
			return e.Error
		}
	}
	return ""
}

// reopen opens the embedded store anew. Whoever is connected to it stays so.
func (l *Ledger) reopen(life context.Context) error {
	l.keeper.opened = time.Now()
	config := l.keeper.config
	if err := l.embedded.ShutdownJetStream(); err != nil {
		return err
	}
	if err := l.embedded.EnableJetStream(&config); err != nil {
		return err
	}
	if ill := l.ill(); ill != "" {
		return errors.New(ill)
	}
	ctx, cancel := context.WithTimeout(life, openTime)
	defer cancel()
	if err := l.watchAll(ctx, life); err != nil {
		return err
	}
	l.keeper.begin()
	l.keeper.broken.Store(false)
	l.config.Log.Info("the store was opened anew")
	l.wantSpares()
	return nil
}

// openTime is how long the store may take to give what a server has to know
// before it begins.
const openTime = 2 * time.Minute

// errSilent ends a start that would wait for ever.
var errSilent = fmt.Errorf("the store has not given all that a server needs within %s: it may be damaged, or its disk very slow", openTime)

// watchAll reads all that this server keeps in memory, and follows it for life, or
// until all is read anew.
func (l *Ledger) watchAll(ctx, life context.Context) error {
	background, cancel := context.WithCancel(life)
	if l.unwatch != nil {
		l.unwatch()
	}
	l.unwatch = cancel
	for _, w := range []watched{
		{l.jobs, l.applyEntry},
		{l.credit, l.applyTally},
		{l.tokenBucket, l.applyToken},
		{l.modules, l.applyModule},
		{l.conduct, l.applyReputation},
		{l.aliasBucket, l.applyAlias},
	} {
		if err := l.watch(ctx, background, w); err != nil {
			return err
		}
	}
	return nil
}

// embeddedConfig is what the embedded store is told when it is opened anew.
func (l *Ledger) embeddedConfig() server.JetStreamConfig {
	config := *l.embedded.JetStreamConfig()
	config.StoreDir = filepath.Dir(config.StoreDir) // it adds the last part itself
	return config
}
