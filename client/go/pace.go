package breakerd

import "time"

// backoff is the wait between two attempts: doubled each time from least to most, and shortened by
// chance by up to a half, so that clients that were cut together do not come back together.
type backoff struct {
	least, most time.Duration
	next        time.Duration
}

// wait is the next wait; chance is from 0 to 1.
func (b *backoff) wait(chance float64) time.Duration {
	wait := max(b.next, b.least)
	b.next = min(wait*2, b.most)
	wait = min(wait, b.most)
	return wait - time.Duration(float64(wait)*chance/2)
}

// reset begins afresh.
func (b *backoff) reset() { b.next = 0 }

// bucket pays for prompt reports: at most so many at once, refilled by so many a second.
type bucket struct {
	most, perSecond float64
	tokens          float64
	filledAt        int64
}

// The prompt reports of a client.
func newBucket(now int64) bucket { return bucket{most: 5, perSecond: 5, tokens: 5, filledAt: now} }

func (b *bucket) fill(now int64) {
	b.tokens = min(b.most, b.tokens+float64(now-b.filledAt)*b.perSecond/1e9)
	b.filledAt = now
}

// readyAt is when a token is there; now or earlier if there is one.
func (b *bucket) readyAt(now int64) int64 {
	b.fill(now)
	if b.tokens >= 1 {
		return now
	}
	// A nanosecond more, so that rounding does not ask again for nothing.
	return now + int64((1-b.tokens)/b.perSecond*1e9) + 1
}

// take takes a token, if there is one.
func (b *bucket) take(now int64) bool {
	b.fill(now)
	if b.tokens < 1-1e-6 {
		return false
	}
	b.tokens = max(0, b.tokens-1)
	return true
}
