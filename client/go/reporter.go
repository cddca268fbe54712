package breakerd

import (
	"context"
	"time"

	"breakerd.dev/client/go/breakerpb"
)

const (
	// gatherTime is how long a prompt report waits for more, in nanoseconds.
	gatherTime = int64(2 * time.Millisecond)
	// intervalShare leaves time for the way, so that an outcome is there within the interval.
	intervalShare = 0.9
)

// A reporter brings outcomes to the server, one report at a time. All of it belongs to one goroutine.
type reporter struct {
	client *Client
	id     string
	// sequence is that of the last report.
	sequence uint64
	bucket   bucket
}

func newReporter(c *Client, id string) *reporter {
	return &reporter{client: c, id: id, bucket: newBucket(c.clock())}
}

// run reports until the client is closed, and then once more what is left.
func (r *reporter) run() {
	c := r.client
	timer := time.NewTimer(0)
	defer timer.Stop()
	for c.context.Err() == nil {
		now := c.clock()
		at, paid := r.due(now)
		if now >= at && (!paid || r.bucket.take(now)) {
			r.deliver()
			continue
		}
		timer.Reset(time.Duration(max(at-now, 0)))
		select {
		case <-c.outcomes.wake:
		case done := <-c.flushes:
			r.deliver()
			close(done)
		case <-timer.C:
		case <-c.context.Done():
		}
	}
	r.deliver()
}

// due is when to report next, and whether that is paid for from the bucket.
func (r *reporter) due(now int64) (at int64, paid bool) {
	first, prompt := r.client.outcomes.since()
	at = never
	if first != never {
		at = first + int64(float64(r.client.settings.reportInterval)*intervalShare)
	}
	if prompt != never {
		if promptAt := max(prompt+gatherTime, r.bucket.readyAt(now)); promptAt < at {
			return promptAt, true
		}
	}
	return at, false
}

// deliver brings all that waits to the server.
func (r *reporter) deliver() {
	c := r.client
	for _, b := range batches(c.outcomes.take(c.clock()), c.clock()) {
		r.bring(b)
	}
}

// bring brings a batch to the server. All of a report counts or nothing of it, so one that is wrong
// is halved until only the outcomes that are wrong themselves are left.
func (r *reporter) bring(b batch) {
	c := r.client
	err := r.report(b)
	if err == nil {
		c.outcomes.settle(b.runs, false)
		return
	}
	if refusalOf(err).invalid && len(b.runs) > 1 {
		first, second := b.halve()
		r.bring(first)
		r.bring(second)
		return
	}
	c.settings.logger.Warn("breakerd: outcomes were given up", "calls", countCalls(b.runs), "error", err.Error())
	c.outcomes.settle(b.runs, true)
}

// report repeats a report until it is answered, or refused as wrong, or the client gives up.
func (r *reporter) report(b batch) error {
	c := r.client
	r.sequence++
	backoff := backoff{least: c.settings.backoffLeast, most: c.settings.backoffMost}
	round := c.servers.begin()
	for {
		answer, how, err := r.attempt(round, b.message(r.id, r.sequence, c.clock()))
		if err == nil {
			c.takeAnswer(answer, c.clock())
			return nil
		}
		if c.lastContext.Err() != nil || refusalOf(err).invalid {
			return err
		}
		if how == stepLeader {
			continue
		}
		if how == stepOver {
			round.renew()
		}
		switch r.pause(backoff.wait(chance())) {
		case pauseClosing:
			// There is little time left, and one more round of attempts is worth a try.
			backoff.reset()
		case pauseGivenUp:
			return err
		}
	}
}

// attempt asks one server, and says who comes after it if it does not answer.
func (r *reporter) attempt(round *round, request *breakerpb.ReportRequest) (*breakerpb.ReportResponse, step, error) {
	c := r.client
	service, conn, err := c.servers.connect(round.server)
	if err != nil {
		return nil, stepOver, err
	}
	ctx, cancel := context.WithTimeout(c.lastContext, c.settings.requestTimeout)
	defer cancel()
	answer, err := service.Report(ctx, request)
	if err == nil {
		c.servers.settle(round)
		return answer, stepOver, nil
	}
	why := refusalOf(err)
	if why.invalid {
		return nil, stepOver, err
	}
	return nil, c.servers.fail(round, conn, why), err
}

// pauseEnd says why a pause ended.
type pauseEnd uint8

const (
	pauseOver pauseEnd = iota
	// pauseClosing: the client began to close, which cuts one wait short.
	pauseClosing
	// pauseGivenUp: the client does not try any more.
	pauseGivenUp
)

// pause waits before another attempt.
func (r *reporter) pause(wait time.Duration) pauseEnd {
	c := r.client
	closing := c.context.Done()
	if c.context.Err() != nil {
		closing = nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return pauseOver
	case <-closing:
		return pauseClosing
	case <-c.lastContext.Done():
		return pauseGivenUp
	}
}
