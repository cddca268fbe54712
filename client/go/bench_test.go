package breakerd

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

// A plainBreaker is what most breakers for Go are: a state, counts and an expiry behind a mutex, which
// looks at the clock before and after each call, as gobreaker does. It is here to compare with. It
// does not know how long a call took, and decides for its process alone.
type plainBreaker struct {
	mu          sync.Mutex
	isOpen      bool
	generation  uint64
	expiry      time.Time
	requests    uint32
	successes   uint32
	failures    uint32
	consecutive uint32
}

var errOpen = errors.New("open")

func (p *plainBreaker) before() (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expire(time.Now())
	if p.isOpen {
		return p.generation, errOpen
	}
	p.requests++
	return p.generation, nil
}

func (p *plainBreaker) expire(now time.Time) {
	if !p.expiry.IsZero() && p.expiry.Before(now) {
		p.generation++
		p.isOpen = false
		p.expiry = now.Add(time.Minute)
	}
}

func (p *plainBreaker) after(generation uint64, success bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.expire(time.Now()); generation != p.generation {
		return
	}
	if success {
		p.successes++
		p.consecutive = 0
	} else {
		p.failures++
		p.consecutive++
		p.isOpen = p.consecutive > 5
	}
}

func (p *plainBreaker) execute(call func() error) error {
	generation, err := p.before()
	if err != nil {
		return err
	}
	defer func() {
		if panicked := recover(); panicked != nil {
			p.after(generation, false)
			panic(panicked)
		}
	}()
	err = call()
	p.after(generation, err == nil)
	return err
}

func BenchmarkClosed(b *testing.B) {
	b.Run("AcquireSuccess", func(b *testing.B) {
		breaker := closedBreaker(b)
		ctx := context.Background()
		b.ReportAllocs()
		for i := 0; i < b.N; i++ {
			guard, err := breaker.Acquire(ctx)
			if err != nil {
				b.Fatal(err)
			}
			guard.Success()
		}
	})
	b.Run("Do", func(b *testing.B) {
		breaker := closedBreaker(b)
		ctx := context.Background()
		call := func(context.Context) error { return nil }
		b.ReportAllocs()
		for i := 0; i < b.N; i++ {
			if err := breaker.Do(ctx, call); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("DoWithDeadline", func(b *testing.B) {
		breaker := closedBreaker(b)
		ctx, cancel := context.WithTimeout(context.Background(), 9*time.Second)
		defer cancel()
		call := func(context.Context) error { return nil }
		b.ReportAllocs()
		for i := 0; i < b.N; i++ {
			if err := breaker.Do(ctx, call); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("MutexBreaker", func(b *testing.B) {
		breaker := plainBreaker{expiry: time.Now().Add(time.Hour)}
		call := func() error { return nil }
		b.ReportAllocs()
		for i := 0; i < b.N; i++ {
			if err := breaker.execute(call); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkClosedParallel(b *testing.B) {
	b.Run("AcquireSuccess", func(b *testing.B) {
		breaker := closedBreaker(b)
		ctx := context.Background()
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				guard, err := breaker.Acquire(ctx)
				if err != nil {
					panic(err)
				}
				guard.Success()
			}
		})
	})
	b.Run("MutexBreaker", func(b *testing.B) {
		breaker := plainBreaker{expiry: time.Now().Add(time.Hour)}
		call := func() error { return nil }
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := breaker.execute(call); err != nil {
					panic(err)
				}
			}
		})
	})
}

// closedBreaker is a breaker that the copy holds CLOSED, of a client whose outcomes are thrown away.
func closedBreaker(tb testing.TB) *Breaker {
	c := offline(tb)
	b := held(c, "bench/closed", Closed)
	stop := make(chan struct{})
	var done sync.WaitGroup
	done.Add(1)
	go func() {
		defer done.Done()
		for ticker := time.NewTicker(100 * time.Millisecond); ; {
			select {
			case <-ticker.C:
				c.outcomes.settle(c.outcomes.take(c.clock()), false)
			case <-stop:
				ticker.Stop()
				return
			}
		}
	}()
	tb.Cleanup(func() { close(stop); done.Wait() })
	return b
}
