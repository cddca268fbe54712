package breakerd

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// A Breaker guards the calls to one dependency. [Client.Breaker] hands it out; it lives as long as its
// client. All methods may be called by many goroutines at once.
type Breaker struct {
	client *Client
	name   string
	// view is what the copy holds; never nil.
	view atomic.Pointer[view]
	ramp rampCredit
	gate permitGate

	mu sync.Mutex
	// tallies are of the latest generations, the latest last.
	tallies []*tally
	// local stands in while no server can be asked; it is of the time at which the fleet's state had won so
	// often.
	local     *localBreaker
	localWins uint64
	// guard is the breaker of [WithLocalGuard], with what it was last configured from.
	guard       *localBreaker
	guardedView *view

	// asked says that the application asked for it, under the client's lock.
	asked bool
	// listeners are called in the order in which they came, under the lock of the events.
	listeners []func(Transition)
}

// maxTallies is how many generations a breaker keeps apart without an allocation for each call.
const maxTallies = 4

// newBreaker makes a breaker of which nothing is known. The caller holds the client's lock.
func (c *Client) newBreaker(name string) *Breaker {
	b := &Breaker{client: c, name: name}
	b.ramp.begin(chance())
	b.view.Store(absent(false, b.tallyOf(0)))
	c.breakers[name] = b
	return b
}

// setView replaces what the copy holds. A local breaker that began from another state is of no use.
func (b *Breaker) setView(v *view) {
	if old := b.view.Swap(v); old.state != v.state {
		b.mu.Lock()
		b.local = nil
		b.mu.Unlock()
	}
}

// tallyOf is where the outcomes of a generation are counted.
func (b *Breaker) tallyOf(generation uint64) *tally {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range b.tallies {
		if t.generation == generation {
			return t
		}
	}
	t := &tally{breaker: b.name, generation: generation}
	if len(b.tallies) == maxTallies {
		b.tallies = append(b.tallies[:0], b.tallies[1:]...)
	}
	b.tallies = append(b.tallies, t)
	return t
}

// Name is the breaker's name.
func (b *Breaker) Name() string { return b.name }

// Status is how a breaker stands, as far as its client knows.
type Status struct {
	// Client says where the rest comes from: the copy, or in [ClientFallback] the copy as it last was, which
	// decides nothing then.
	Client ClientState
	// State is [Unknown] for a breaker that the copy does not hold.
	State State
	Mode  Mode
	// Generation and Revision are 0 for a breaker that the copy does not hold.
	Generation, Revision uint64
	// Level is nil for a breaker without levels.
	Level *Level
	// RetryAfter is when OPEN, or what an operator forced, ends by itself; 0 if it does not.
	RetryAfter time.Duration
}

// Status is how the breaker stands just now. It asks nobody.
func (b *Breaker) Status() Status {
	v := b.view.Load()
	status := Status{Client: b.client.State(), State: v.state, Mode: v.mode, Generation: v.generation,
		Revision: v.revision, Level: v.level, RetryAfter: v.retryAfter(b.client.clock())}
	if !v.exists {
		status.State = Unknown
	}
	return status
}

// Acquire asks for leave to make one call. It fails with a [*DeniedError], or with the context's error
// if that ends while a permit is waited for. The guard has to be told how the call ended, once:
//
//	guard, err := stripe.Acquire(ctx)
//	if err != nil {
//		return err
//	}
//	defer guard.Done(&err)
func (b *Breaker) Acquire(ctx context.Context) (Guard, error) {
	c, v := b.client, b.view.Load()
	if v.passes && c.trusts(v) && !c.settings.localGuard {
		return Guard{breaker: b, view: v, tally: v.tally, limit: v.callTimeout, began: c.clock()}, nil
	}
	return b.acquire(ctx, v)
}

// acquire is the way of the calls that are not simply allowed.
func (b *Breaker) acquire(ctx context.Context, v *view) (Guard, error) {
	c := b.client
	guard := localTicket{}
	if c.settings.localGuard {
		ticket, denial := b.localGuard(v).ask(c.clock())
		if denial != nil {
			denied := b.denied(v, ReasonLocalOpen, denial.retryAfter)
			denied.State = denial.state
			return Guard{}, denied
		}
		guard = ticket
	}
	admitted, err := b.admit(ctx, v)
	if err != nil {
		guard.record(Ignored, "", 0, c.clock())
		return Guard{}, err
	}
	return Guard{
		breaker: b, view: v, tally: admitted.tally, permit: admitted.permit, limit: admitted.limit,
		guard: guard, local: admitted.local, began: c.clock(),
	}, nil
}

// admission is the leave for a call.
type admission struct {
	tally  *tally
	permit uint64
	limit  time.Duration
	local  localTicket
}

// trusts says whether the copy decides. In STALE that a breaker lets calls flow is believed only where no
// local breaker is to stand in: the dependency may have died since, and the local breaker finds that out.
func (c *Client) trusts(v *view) bool {
	switch c.State() {
	case ClientReady:
		return v.covered
	case ClientStale:
		return v.covered && (v.state != Closed || v.mode != Normal || c.onUnavailable(v) != Local)
	}
	return false
}

// onUnavailable is what is to be done while no server can be asked.
func (c *Client) onUnavailable(v *view) OnUnavailable {
	if v.onUnavailable == 0 {
		return c.settings.onUnavailable
	}
	return v.onUnavailable
}

// admit decides by the state of the client.
func (b *Breaker) admit(ctx context.Context, v *view) (admission, error) {
	c := b.client
	if !c.trusts(v) {
		return b.fallback(v)
	}
	switch decision, reason := v.decide(c.clock(), &b.ramp); decision {
	case decideAllow:
		return admission{tally: v.tally, limit: v.callTimeout}, nil
	case decideDeny:
		return admission{}, b.denied(v, reason, v.retryAfter(c.clock()))
	}
	return b.askForPermit(ctx, v)
}

// fallback decides by what is to be done while no server can be asked.
func (b *Breaker) fallback(v *view) (admission, error) {
	c := b.client
	admitted := admission{tally: v.tally, limit: v.callTimeout}
	switch c.onUnavailable(v) {
	case Deny:
		return admission{}, b.denied(v, ReasonUnavailable, 0)
	case Local:
		ticket, denial := b.localFallback(v).ask(c.clock())
		if denial != nil {
			denied := b.denied(v, ReasonLocalOpen, denial.retryAfter)
			denied.State = denial.state
			return admission{}, denied
		}
		admitted.local = ticket
	}
	return admitted, nil
}

// localFallback is the local breaker that stands in while no server can be asked. It begins when it is
// first asked, and is dropped when the fleet's state wins.
func (b *Breaker) localFallback(v *view) *localBreaker {
	b.mu.Lock()
	defer b.mu.Unlock()
	if wins := b.client.wins.Load(); b.local == nil || b.localWins != wins {
		begin := Closed
		if v.state == Open || v.state == HalfOpen {
			begin = HalfOpen
		}
		b.local, b.localWins = newLocalBreaker(newLocalConfig(v.config, v.effective), begin), wins
	}
	return b.local
}

// localGuard is the breaker of [WithLocalGuard].
func (b *Breaker) localGuard(v *view) *localBreaker {
	b.mu.Lock()
	defer b.mu.Unlock()
	settings := &b.client.settings
	switch {
	case b.guard == nil && settings.localConfig != nil:
		b.guard = newLocalBreaker(newLocalConfig(settings.localConfig, nil), Closed)
	case b.guard == nil:
		b.guard, b.guardedView = newLocalBreaker(newLocalConfig(v.config, v.effective), Closed), v
	case settings.localConfig == nil && v != b.guardedView:
		b.guard.reconfigure(newLocalConfig(v.config, v.effective))
		b.guardedView = v
	}
	return b.guard
}
