package breakerd

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"breakerd.dev/client/go/breakerpb"
)

// outcomesOf takes what the client would report.
func outcomesOf(c *Client) string {
	runs := c.outcomes.take(c.clock())
	c.outcomes.settle(runs, false)
	return told(runs)
}

func openWithLevel(c *Client, name string) *Breaker {
	b := held(c, name, Closed)
	state := stateOfBreaker(name, Open, 2)
	state.RetryTime = timestamppb.New(time.Unix(1_000_002, 0))
	state.Level = &breakerpb.CurrentLevel{Name: "critical", Number: 1, Serve: "degraded"}
	c.take(message(c, state), nil, c.clock())
	return b
}

func TestDoReportsWhatBecameOfTheCall(t *testing.T) {
	c := offline(t)
	b := held(c, "a/b", Closed)
	cancelled, cancel := context.WithCancel(context.Background())
	for _, call := range []struct {
		what string
		do   func() error
		want string
	}{
		{"success", func() error { return b.Do(context.Background(), func(context.Context) error { return nil }) }, "a/b@1 success x1"},
		{"failure", func() error {
			return b.Do(context.Background(), func(context.Context) error { return fmt.Errorf("so: %w", &oddError{}) })
		}, "a/b@1 failure breakerd.oddError x1"},
		{"cancelled by the caller", func() error {
			return b.Do(cancelled, func(context.Context) error { cancel(); return errors.New("connection closed") })
		}, "a/b@1 ignored x1"},
		{"the caller's deadline", func() error {
			ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
			defer cancel()
			return b.Do(ctx, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		}, "a/b@1 timeout x1"},
	} {
		_ = call.do()
		if got := outcomesOf(c); got != call.want {
			t.Errorf("%s: %s", call.what, got)
		}
	}
}

func TestACallEndsWithItsTimeout(t *testing.T) {
	c := offline(t)
	b := held(c, "a/b", Closed)
	state := stateOfBreaker("a/b", Closed, 2)
	state.Config.CallTimeout = durationpb.New(20 * time.Millisecond)
	c.take(message(c, state), nil, c.clock())
	err := b.Do(context.Background(), func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	if got := outcomesOf(c); got != "a/b@2 timeout x1" || !errors.Is(err, context.DeadlineExceeded) {
		t.Error(got, err)
	}
	err = b.Do(context.Background(), func(context.Context) error { time.Sleep(30 * time.Millisecond); return nil })
	if got := outcomesOf(c); got != "a/b@2 timeout x1" || err != nil {
		t.Error("a success that came too late is a timeout", got, err)
	}
}

func TestAPanicIsAFailureAndGoesOn(t *testing.T) {
	c := offline(t)
	b := held(c, "a/b", Closed)
	panics := func(do func()) {
		t.Helper()
		defer func() {
			if panicked := recover(); panicked != "ouch" {
				t.Error(panicked)
			}
			if got := outcomesOf(c); got != "a/b@1 failure panic x1" {
				t.Error(got)
			}
		}()
		do()
	}
	panics(func() { _ = b.Do(context.Background(), func(context.Context) error { panic("ouch") }) })
	panics(func() {
		_, _ = Call(context.Background(), b, func(context.Context) (int, error) { panic("ouch") })
	})
	panics(func() {
		var err error
		guard, _ := b.Acquire(context.Background())
		defer guard.Done(&err)
		panic("ouch")
	})
}

func TestAGuardTakesTheFirstOutcome(t *testing.T) {
	c := offline(t)
	b := held(c, "a/b", Closed)
	work := func(fails error) (err error) {
		guard, err := b.Acquire(context.Background())
		if err != nil {
			return err
		}
		defer guard.Done(&err)
		return fails
	}
	_ = work(nil)
	_ = work(&oddError{})
	guard, _ := b.Acquire(context.Background())
	guard.Failure("first")
	guard.Success()
	guard.Timeout()
	if got := outcomesOf(c); got != "a/b@1 success x1, a/b@1 failure breakerd.oddError x1, a/b@1 failure first x1" {
		t.Error(got)
	}
	var none Guard
	none.Success()
	none.Done(new(error))
	if none.Generation() != 0 || none.IsProbe() {
		t.Error("the zero value")
	}
}

func TestADeniedCallSaysWhyAndWhatToServe(t *testing.T) {
	c := offline(t)
	manual(c)
	b := openWithLevel(c, "a/b")
	called := false
	err := b.Do(context.Background(), func(context.Context) error { called = true; return nil })
	var denied *DeniedError
	if !errors.As(fmt.Errorf("so: %w", err), &denied) || called {
		t.Fatal(err, called)
	}
	if denied.Breaker != "a/b" || denied.Reason != ReasonOpen || denied.RetryAfter != 2*time.Second || denied.State != Open ||
		denied.Mode != Normal || denied.Level.Number != 1 || denied.Serve() != "degraded" {
		t.Errorf("%+v", denied)
	}
	if text := denied.Error(); text != "breakerd: a/b denied the call: open, retry after 2s" {
		t.Error(text)
	}
	if got := outcomesOf(c); got != "" {
		t.Error(got)
	}
}

func TestFallbacks(t *testing.T) {
	c := offline(t)
	open, closed := openWithLevel(c, "a/open"), held(c, "a/closed", Closed)
	ctx := context.Background()
	fails := func(context.Context) (string, error) { return "half an answer", &oddError{} }
	cached := Fallback(func(_ context.Context, err error) (string, error) { return "cached", nil })
	serve := func(word string) CallOption[string] {
		return Serve(word, func(_ context.Context, denied *DeniedError) (string, error) { return denied.Serve() + " page", nil })
	}
	for _, call := range []struct {
		what    string
		breaker *Breaker
		call    func(context.Context) (string, error)
		options []CallOption[string]
		want    string
		fails   bool
	}{
		{"no fallback", closed, fails, nil, "half an answer", true},
		{"failed", closed, fails, []CallOption[string]{cached, serve("degraded")}, "cached", false},
		{"denied", open, fails, []CallOption[string]{cached, serve("other")}, "cached", false},
		{"by what to serve", open, fails, []CallOption[string]{cached, serve("degraded")}, "degraded page", false},
		{"by the level's name", open, fails, []CallOption[string]{serve("critical")}, "degraded page", false},
		{"denied, no fallback", open, fails, nil, "", true},
		{"ignored", closed, func(context.Context) (string, error) { return "", context.Canceled }, []CallOption[string]{cached}, "", true},
		{"judged", closed, func(context.Context) (string, error) { return "busy", nil }, []CallOption[string]{cached,
			JudgedBy(func(value string, err error) Verdict { return Verdict{Failure, value} })}, "cached", false},
	} {
		got, err := Call(ctx, call.breaker, call.call, call.options...)
		if got != call.want || (err != nil) != call.fails {
			t.Errorf("%s: %q, %v", call.what, got, err)
		}
	}
	want := "a/closed@1 failure breakerd.oddError x2, a/closed@1 ignored x1, a/closed@1 failure busy x1"
	if got := outcomesOf(c); got != want {
		t.Error(got)
	}
}

func TestTheClosedPathAllocatesNothing(t *testing.T) {
	c := offline(t)
	b := held(c, "a/b", Closed)
	ctx, cancel := context.WithTimeout(context.Background(), 9*time.Second)
	defer cancel()
	fn := func(context.Context) error { return nil }
	call(t, b, Success, "")
	if allocs := testing.AllocsPerRun(1000, func() {
		guard, err := b.Acquire(ctx)
		if err != nil {
			t.Fatal(err)
		}
		guard.Success()
		if err := b.Do(ctx, fn); err != nil {
			t.Fatal(err)
		}
	}); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func TestALocalGuardFollowsTheConfigurationOfTheBreaker(t *testing.T) {
	c := offline(t, WithLocalGuard(nil))
	b := held(c, "a/b", Closed)
	for i := 0; i < 4; i++ {
		call(t, b, Failure, "")
	}
	changed := stateOfBreaker("a/b", Closed, 2)
	changed.Effective.FailureThreshold = 6
	c.take(message(c, changed), nil, c.clock())
	call(t, b, Failure, "")
	call(t, b, Failure, "")
	var denied *DeniedError
	if _, err := b.Acquire(context.Background()); !errors.As(err, &denied) || denied.Reason != ReasonLocalOpen || denied.State != Open {
		t.Error(err)
	}
	// The leave of the local guard is given back where the fleet's breaker denies.
	c = offline(t, WithLocalGuard(&breakerpb.BreakerConfig{FailureThreshold: number(1), MaxProbes: number(1), OpenDuration: durationpb.New(time.Millisecond)}))
	b = held(c, "a/b", Closed)
	call(t, b, Failure, "")
	time.Sleep(2 * time.Millisecond)
	c.take(message(c, func() *breakerpb.BreakerState {
		s := stateOfBreaker("a/b", Open, 2)
		s.Mode = breakerpb.Mode_MODE_FORCED_OPEN
		return s
	}()), nil, c.clock())
	for i := 0; i < 3; i++ {
		if _, err := b.Acquire(context.Background()); !errors.As(err, &denied) || denied.Reason != ReasonForcedOpen {
			t.Error(err)
		}
	}
}
