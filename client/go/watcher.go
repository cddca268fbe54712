package breakerd

import (
	"context"
	"errors"
	"slices"
	"time"

	"google.golang.org/grpc"

	"breakerd.dev/client/go/breakerpb"
)

const (
	// namesTime is how long the watcher waits for more new names, in nanoseconds.
	namesTime = int64(5 * time.Millisecond)
	// patience is how long new names wait for a snapshot that is under way, in nanoseconds: a
	// trickle of names must not keep any from being complete.
	patience = int64(250 * time.Millisecond)
)

// A watcher keeps the copy, and with it the state of the client. All of it belongs to one goroutine.
type watcher struct {
	client  *Client
	round   *round
	backoff backoff

	// token resumes a stream with the same selectors.
	token     []byte
	selectors []string

	// stream is what is read; nil between two attempts, of which the next is at openAt.
	stream *stream
	openAt int64
	// snapshot is under way; nil if there is none.
	snapshot *snapshot
	// complete: the stream has brought all that there was when it began.
	complete bool
	// beganAt and heardAt are when the stream began, and when it last spoke.
	beganAt, heardAt int64
	// staleAt is when the client became STALE.
	staleAt int64
	// namesAt is when the first name was asked for that is not watched; never if there is none.
	namesAt int64
	// grumbled: the log has heard that no server can be reached.
	grumbled bool
}

func newWatcher(c *Client) *watcher {
	return &watcher{
		client: c, round: c.servers.begin(), namesAt: never,
		backoff: backoff{least: c.settings.backoffLeast, most: c.settings.backoffMost},
	}
}

// run watches until the client is closed.
func (w *watcher) run() {
	c := w.client
	timer := time.NewTimer(0)
	defer timer.Stop()
	for c.context.Err() == nil {
		w.act(c.clock())
		var messages chan received
		if w.stream != nil {
			messages = w.stream.messages
		}
		timer.Reset(time.Duration(max(w.due()-c.clock(), 0)))
		select {
		case message := <-messages:
			w.receive(message, c.clock())
		case <-c.names:
			w.namesAt = sooner(w.namesAt, c.clock())
		case <-timer.C:
		case <-c.context.Done():
		}
	}
	w.end()
}

// due is when something has to be done next.
func (w *watcher) due() int64 {
	s := &w.client.settings
	at := w.openAt
	if w.stream != nil {
		at = sooner(w.heardAt+int64(s.staleAfter), w.renewAt())
	}
	if w.client.State() == ClientStale {
		at = sooner(at, w.staleAt+int64(s.maxStaleness))
	}
	return at
}

// renewAt is when a stream is begun anew because of new names.
func (w *watcher) renewAt() int64 {
	switch {
	case w.namesAt == never:
		return never
	case !w.complete:
		return max(w.namesAt+namesTime, w.beganAt+patience)
	}
	return w.namesAt + namesTime
}

// act does what is due.
func (w *watcher) act(now int64) {
	c := w.client
	if w.stream != nil && now >= w.heardAt+int64(c.settings.staleAfter) {
		w.cut(errSilent, now)
		w.openAt = now
	}
	if c.State() == ClientStale && now >= w.staleAt+int64(c.settings.maxStaleness) {
		c.setState(ClientFallback, "no server could be reached for "+c.settings.maxStaleness.String())
	}
	if w.stream != nil && now >= w.renewAt() {
		w.namesAt = never
		if !c.isWatched(w.stream.selectors) {
			// The copy is as good as it was: the client stays what it is meanwhile.
			w.end()
			w.openAt = now
		}
	}
	if w.stream == nil && now >= w.openAt {
		w.open(now)
	}
}

var errSilent = errors.New("the stream was silent")

// open begins a stream.
func (w *watcher) open(now int64) {
	c := w.client
	selectors := c.selectors()
	w.namesAt = never
	if !slices.Equal(selectors, w.selectors) {
		w.selectors, w.token = selectors, nil
	}
	w.snapshot, w.complete = nil, false
	if len(w.token) == 0 {
		w.snapshot = newSnapshot(selectors, false)
	}
	w.beganAt, w.heardAt = now, now
	w.stream = c.watch(w.round.server, &breakerpb.WatchRequest{Selectors: selectors, ResumeToken: w.token})
}

// receive takes what came on the stream.
func (w *watcher) receive(message received, now int64) {
	c := w.client
	if message.err != nil {
		w.cut(message.err, now)
		return
	}
	w.heardAt, w.grumbled = now, false
	w.backoff.reset()
	c.servers.settle(w.round)
	w.round.renew()
	if message.GetReset_() {
		w.snapshot = newSnapshot(w.stream.selectors, true)
		w.complete = false
	}
	c.take(message.WatchResponse, w.snapshot, now)
	if message.GetSnapshotComplete() {
		w.snapshot, w.complete = nil, true
	}
	if token := message.GetResumeToken(); len(token) > 0 && w.complete {
		// A token of a snapshot that is not complete would leave out what has gone meanwhile.
		w.token = token
	}
	if w.complete {
		c.setState(ClientReady, "the copy is complete")
	}
	c.hear()
}

// cut ends a stream that has failed, and settles when the next one begins, and where.
func (w *watcher) cut(err error, now int64) {
	c := w.client
	conn := w.stream.conn
	w.end()
	if c.context.Err() != nil {
		return
	}
	if conn != nil && errors.Is(err, errSilent) {
		c.servers.reconnect(w.round.server, conn)
	}
	how := stepOver
	if conn != nil {
		how = c.servers.fail(w.round, conn, refusalOf(err))
	}
	w.openAt = now
	if how != stepLeader {
		w.openAt += int64(w.backoff.wait(chance()))
	}
	if how == stepOver {
		w.round = c.servers.begin()
	}
	if c.State() == ClientReady {
		w.staleAt = now
		c.setState(ClientStale, err.Error())
	} else if !w.grumbled {
		w.grumbled = true
		c.settings.logger.Warn("breakerd: no server can be reached", "error", err.Error())
	}
}

// end lets go of the stream.
func (w *watcher) end() {
	if w.stream != nil {
		w.stream.cancel()
		w.stream = nil
	}
}

// received is what came on a stream: a message, or its end.
type received struct {
	*breakerpb.WatchResponse
	err error
}

// A stream is one Watch. It is read by a goroutine of its own.
type stream struct {
	selectors []string
	conn      *grpc.ClientConn
	messages  chan received
	cancel    context.CancelFunc
}

// watch begins a stream. Whatever goes wrong comes as its end.
func (c *Client) watch(server *server, request *breakerpb.WatchRequest) *stream {
	ctx, cancel := context.WithCancel(c.context)
	service, conn, err := c.servers.connect(server)
	s := &stream{selectors: request.Selectors, conn: conn, messages: make(chan received), cancel: cancel}
	started := c.start(func() {
		defer cancel()
		var watch breakerpb.BreakerService_WatchClient
		if err == nil {
			watch, err = service.Watch(ctx, request)
		}
		for {
			var message *breakerpb.WatchResponse
			if err == nil {
				message, err = watch.Recv()
			}
			select {
			case s.messages <- received{message, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	})
	if !started {
		cancel()
	}
	return s
}
