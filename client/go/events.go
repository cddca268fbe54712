package breakerd

import (
	"fmt"
	"log/slog"
	"sync"
)

// maxEvents is how many events wait for slow listeners; then the oldest are left out.
const maxEvents = 4_096

// A Transition is a change of a breaker, as far as decisions ask.
type Transition struct {
	// Breaker is the breaker's name.
	Breaker string
	// From and To are what it was and what it is.
	From, To Standing
}

// Standing is what a transition changes.
type Standing struct {
	State State
	Mode  Mode
	// Level is nil for a breaker without levels.
	Level *Level
}

func (v *view) standing() Standing { return Standing{v.state, v.mode, v.level} }

// events are brought to the listeners by a goroutine of their own, which is there as long as there
// are events, so that no listener delays the copy.
type events struct {
	logger *slog.Logger

	mu           sync.Mutex
	onTransition []func(Transition)
	onState      []func(ClientState)
	waiting      []func()
	leftOut      int
	// isBringing: the goroutine is there.
	isBringing bool
	closed     bool
}

func newEvents(logger *slog.Logger) *events { return &events{logger: logger} }

// close lets no more events happen. Those that wait are still brought; nobody waits for that,
// because a listener may be what closes the client.
func (e *events) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
}

// OnTransition has a function called with each change of state, mode or level of a breaker in the
// copy; the state that is learned first is no change. Functions are called one after another, in a
// goroutine of the client's: one that is slow delays the others and nothing else, and beyond 4,096
// events that wait the oldest are left out. One that panics is logged, and harms nothing.
func (c *Client) OnTransition(listener func(Transition)) {
	c.events.mu.Lock()
	c.events.onTransition = append(c.events.onTransition, listener)
	c.events.mu.Unlock()
	c.beginToListen()
}

// OnState has a function called when the client's state changes, as [Client.OnTransition] does.
func (c *Client) OnState(listener func(ClientState)) {
	c.events.mu.Lock()
	c.events.onState = append(c.events.onState, listener)
	c.events.mu.Unlock()
	c.beginToListen()
}

// OnTransition has a function called with each change of this breaker, as [Client.OnTransition] does.
func (b *Breaker) OnTransition(listener func(Transition)) {
	events := b.client.events
	events.mu.Lock()
	defer events.mu.Unlock()
	b.listeners = append(b.listeners, listener)
}

// beginToListen connects: whoever listens wants to hear.
func (c *Client) beginToListen() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begin()
}

func (e *events) state(state ClientState) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, listener := range e.onState {
		listener := listener
		e.tell(func() { listener(state) })
	}
}

func (e *events) transition(b *Breaker, from, to *view) {
	e.mu.Lock()
	defer e.mu.Unlock()
	transition := Transition{Breaker: b.name, From: from.standing(), To: to.standing()}
	for _, listeners := range [][]func(Transition){b.listeners, e.onTransition} {
		for _, listener := range listeners {
			listener := listener
			e.tell(func() { listener(transition) })
		}
	}
}

// tell puts an event behind the others. The caller holds the lock.
func (e *events) tell(event func()) {
	if e.closed {
		return
	}
	if len(e.waiting) == maxEvents {
		e.waiting[0] = nil
		e.waiting = e.waiting[1:]
		e.leftOut++
	}
	e.waiting = append(e.waiting, event)
	if !e.isBringing {
		e.isBringing = true
		go e.bring()
	}
}

func (e *events) bring() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.waiting) > 0 {
		event, leftOut := e.waiting[0], e.leftOut
		e.waiting[0] = nil
		e.waiting, e.leftOut = e.waiting[1:], 0
		e.mu.Unlock()
		if leftOut > 0 {
			e.logger.Warn("breakerd: events were left out, because listeners are slow", "events", leftOut)
		}
		e.call(event)
		e.mu.Lock()
	}
	e.waiting = nil
	e.isBringing = false
}

func (e *events) call(event func()) {
	defer func() {
		if panicked := recover(); panicked != nil {
			e.logger.Error("breakerd: a listener panicked", "panic", fmt.Sprint(panicked))
		}
	}()
	event()
}
