package breakerd

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// closeTime is how long Close tries to report what waits.
const closeTime = 5 * time.Second

// ErrClosed is the error of a client that was closed.
var ErrClosed = errors.New("breakerd: the client is closed")

// ErrUnreported is the error of [Client.Close] if outcomes were given up because no server took them.
var ErrUnreported = errors.New("breakerd: outcomes were given up because no server took them in time")

// A Client keeps a copy of the breakers that the application uses, and reports how its calls went.
// One is enough for a process. All methods may be called by many goroutines at once.
type Client struct {
	settings settings
	clock    func() int64
	servers  *servers
	outcomes *outcomes
	events   *events

	state atomic.Uint32
	// since is when the state began.
	since atomic.Int64
	// heard counts messages of the stream and answers to Acquire.
	heard atomic.Uint64
	// wins counts when the fleet's state took over from local breakers: on READY, and with what is
	// heard while READY.
	wins atomic.Uint64
	// lingering counts Acquires that nobody waits for any more.
	lingering atomic.Int64
	closed    atomic.Bool

	mu       sync.Mutex
	breakers map[string]*Breaker
	// covered are the selectors of which a whole snapshot has come.
	covered []string
	// asked are the names that the application asked for.
	asked []string
	// begun: the background is at work.
	begun bool
	// ready is closed while the client is READY, and when it is closed.
	ready chan struct{}

	// names has a word when the application has asked for a name that is not watched.
	names chan struct{}
	// flushes has who waits until all that waits now has been reported.
	flushes chan chan struct{}
	// context ends when Close begins, and lastContext when it gives up reporting.
	context, lastContext context.Context
	cancel, giveUp       context.CancelFunc
	// done says that all that was started has ended.
	done sync.WaitGroup
}

// New builds a client of the servers at these addresses, `host:port` each. It touches no network: the
// client connects in the background when it is first used. Until it is READY calls are decided by
// [WithOnUnavailable].
//
// It fails if an address or an option makes no sense.
func New(addresses []string, options ...Option) (*Client, error) {
	s := defaults(slices.Clone(addresses))
	for _, option := range options {
		option(&s)
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	last, giveUp := context.WithCancel(context.Background())
	c := &Client{
		settings: s, clock: monotonic, outcomes: newOutcomes(),
		breakers: make(map[string]*Breaker), ready: make(chan struct{}),
		names: make(chan struct{}, 1), flushes: make(chan chan struct{}),
		context: ctx, cancel: cancel, lastContext: last, giveUp: giveUp,
	}
	c.servers = newServers(s)
	c.events = newEvents(s.logger)
	c.state.Store(uint32(ClientFallback))
	c.since.Store(c.clock())
	return c, nil
}

// begin starts the background, once. The caller holds the lock.
func (c *Client) begin() {
	if c.begun || c.closed.Load() {
		return
	}
	c.begun = true
	c.done.Add(2)
	go func() {
		defer c.done.Done()
		newWatcher(c).run()
	}()
	go func() {
		defer c.done.Done()
		newReporter(c, reporterID(c.settings.clientID)).run()
	}()
}

func reporterID(clientID string) string {
	var digits [8]byte
	// It never fails on the systems that Go runs on, and aborts the process where it does.
	_, _ = rand.Read(digits[:])
	return clientID + "-" + hex.EncodeToString(digits[:])
}

// Breaker is the breaker of this name: the same one for the same name. From then on it is watched.
// It fails with a [*NameError] if the text is not the name of a breaker.
func (c *Client) Breaker(name string) (*Breaker, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.breakers[name]
	if b != nil && b.asked {
		return b, nil
	}
	if b == nil {
		if err := checkName(name); err != nil {
			return nil, err
		}
		b = c.newBreaker(name)
		if matchesAny(c.covered, name) {
			b.setView(absent(true, b.tallyOf(0)))
		}
	}
	b.asked = true
	c.asked = append(c.asked, name)
	c.begin()
	select {
	case c.names <- struct{}{}:
	default:
	}
	return b, nil
}

// State is how the client decides.
func (c *Client) State() ClientState { return ClientState(c.state.Load()) }

// Since is when [Client.State] began.
func (c *Client) Since() time.Time {
	return time.Now().Add(-time.Duration(c.clock() - c.since.Load()))
}

// Ready waits until the client is READY; not at all if it is. It fails with the context's error if
// that ends first, and with [ErrClosed]. Nobody has to wait: a client decides from the start.
func (c *Client) Ready(ctx context.Context) error {
	c.mu.Lock()
	c.begin()
	ready := c.ready
	c.mu.Unlock()
	select {
	case <-ready:
	case <-ctx.Done():
		return ctx.Err()
	}
	if c.closed.Load() {
		return ErrClosed
	}
	return nil
}

// setState changes how the client decides, and tells the listeners. A closed client is FALLBACK.
func (c *Client) setState(state ClientState, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.State()
	if old == state || c.closed.Load() && state != ClientFallback {
		return
	}
	c.since.Store(c.clock())
	c.state.Store(uint32(state))
	switch {
	case state == ClientReady:
		c.wins.Add(1)
		close(c.ready)
	case old == ClientReady && !c.closed.Load():
		c.ready = make(chan struct{})
	}
	level := slog.LevelWarn
	if state == ClientReady || c.closed.Load() {
		level = slog.LevelInfo
	}
	c.settings.logger.Log(context.Background(), level, "breakerd: the client is "+state.String(), "was", old.String(), "why", why)
	c.events.state(state)
}

// hear notes that a server has spoken.
func (c *Client) hear() {
	c.heard.Add(1)
	if c.State() == ClientReady {
		c.wins.Add(1)
	}
}

// OutcomesGivenUp counts the calls whose outcome was given up: too many waited, the server refused
// them as wrong, or the client was closed before a server took them.
func (c *Client) OutcomesGivenUp() uint64 { return c.outcomes.givenUp.Load() }

// OutcomesWaiting counts the calls whose outcome has not arrived at a server yet.
func (c *Client) OutcomesWaiting() uint64 {
	waiting, inFlight := c.outcomes.count()
	return waiting + inFlight
}

// Flush reports what waits without waiting for more, and returns when it has arrived at a server, or
// was given up. It fails with the context's error if that ends first, and with [ErrClosed].
func (c *Client) Flush(ctx context.Context) error {
	c.mu.Lock()
	begun := c.begun
	c.mu.Unlock()
	if !begun {
		return nil
	}
	done := make(chan struct{})
	select {
	case c.flushes <- done:
	case <-c.context.Done():
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close reports what waits, for 5 s at most, and ends all that the client started. Calls afterwards
// are decided as in FALLBACK and not reported. It fails with [ErrUnreported] if outcomes were given up.
// Closing again does nothing.
func (c *Client) Close() error {
	c.mu.Lock()
	if !c.closed.CompareAndSwap(false, true) {
		c.mu.Unlock()
		return nil
	}
	c.outcomes.close()
	before := c.outcomes.givenUp.Load()
	c.cancel()
	if c.State() != ClientReady {
		close(c.ready)
	}
	c.mu.Unlock()

	c.setState(ClientFallback, "it was closed")
	timer := time.AfterFunc(closeTime, c.giveUp)
	c.done.Wait()
	timer.Stop()
	c.events.close()
	c.giveUp()
	c.servers.close()
	if c.outcomes.givenUp.Load() > before {
		return ErrUnreported
	}
	return nil
}
