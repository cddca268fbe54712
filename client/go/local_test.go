package breakerd

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"breakerd.dev/client/go/breakerpb"
)

// A localWorld plays with a local breaker and a clock.
type localWorld struct {
	t   *testing.T
	l   *localBreaker
	now int64
}

func localWith(t *testing.T, config *breakerpb.BreakerConfig, begin State) *localWorld {
	return &localWorld{t, newLocalBreaker(newLocalConfig(config, nil), begin), int64(time.Hour)}
}

func (w *localWorld) ask(allowed bool) localTicket {
	w.t.Helper()
	ticket, denial := w.l.ask(w.now)
	if (denial == nil) != allowed {
		w.t.Fatalf("allowed is not %v: %+v", allowed, denial)
	}
	return ticket
}

func (w *localWorld) play(calls string) {
	w.t.Helper()
	for _, call := range calls {
		ticket := w.ask(true)
		switch call {
		case 's':
			ticket.record(Success, "", time.Millisecond, w.now)
		case 'l':
			ticket.record(Success, "", 3*time.Second, w.now)
		case 'f':
			ticket.record(Failure, "http.503", time.Millisecond, w.now)
		case 'p':
			ticket.record(Failure, "http.404", time.Millisecond, w.now)
		case 't':
			ticket.record(Timeout, "", time.Millisecond, w.now)
		case 'i':
			ticket.record(Ignored, "", time.Millisecond, w.now)
		}
	}
}

func number(n uint32) *uint32 { return &n }

func TestTheDefaultLocalBreakerCountsWithDecayOpensProbesAndCloses(t *testing.T) {
	w := localWith(t, nil, Closed)
	w.play("ffffsfit")
	_, denial := w.l.ask(w.now)
	if denial == nil || denial.retryAfter != time.Minute || denial.state != Open {
		t.Fatalf("%+v", denial)
	}
	w.now += int64(time.Minute)
	a, b, c := w.ask(true), w.ask(true), w.ask(true)
	w.ask(false)
	a.record(Success, "", 0, w.now)
	b.record(Success, "", 0, w.now)
	c.record(Ignored, "", 0, w.now)
	if w.l.state != HalfOpen {
		t.Fatal(w.l.state)
	}
	w.play("s")
	if w.l.state != Closed || w.l.failures != 0 {
		t.Fatal(w.l.state)
	}
}

func TestALocalProbeThatFailsOrDoesNotComeBackOpensAgain(t *testing.T) {
	w := localWith(t, nil, HalfOpen)
	w.play("f")
	w.ask(false)
	w.now += int64(time.Minute)
	late := w.ask(true)
	w.now += int64(10*time.Second) + 1
	if w.ask(false); w.l.state != Open {
		t.Fatal(w.l.state)
	}
	late.record(Success, "", 0, w.now)
	if w.l.state != Open {
		t.Error("an outcome of an older generation counts for nothing")
	}
	ignoring := localWith(t, &breakerpb.BreakerConfig{ExpiredProbe: breakerpb.ExpiredProbe_EXPIRED_PROBE_IGNORE, MaxProbes: number(1)}, HalfOpen)
	ignoring.ask(true)
	ignoring.ask(false)
	ignoring.now += int64(10*time.Second) + 1
	ignoring.ask(true)
}

func TestLocalConditions(t *testing.T) {
	off := number(0)
	for _, c := range []struct {
		what   string
		config *breakerpb.BreakerConfig
		calls  string
		state  State
	}{
		{"threshold", &breakerpb.BreakerConfig{FailureThreshold: number(2), FailureDecay: off}, "fsssf", Open},
		{"decay", &breakerpb.BreakerConfig{FailureThreshold: number(2)}, "fsfsfsfs", Closed},
		{"in a row", &breakerpb.BreakerConfig{FailureThreshold: off, ConsecutiveFailures: number(3)}, "ffsfff", Open},
		{"not in a row", &breakerpb.BreakerConfig{FailureThreshold: off, ConsecutiveFailures: number(3)}, "ffsffsff", Closed},
		{"rate", &breakerpb.BreakerConfig{FailureThreshold: off, FailureRate: &breakerpb.FailureRate{Percent: 50, MinimumCalls: 4}}, "ssff", Open},
		{"rate, too few", &breakerpb.BreakerConfig{FailureThreshold: off, FailureRate: &breakerpb.FailureRate{Percent: 50, MinimumCalls: 4}}, "fff", Closed},
		{"rate in a window", &breakerpb.BreakerConfig{FailureThreshold: off, Window: &breakerpb.Window{Calls: 4},
			FailureRate: &breakerpb.FailureRate{Percent: 75, MinimumCalls: 4}}, "sssssfff", Open},
		{"slow calls", &breakerpb.BreakerConfig{FailureThreshold: off,
			SlowCallRate: &breakerpb.SlowCallRate{Percent: 100, MinimumCalls: 2, Duration: durationpb.New(time.Second)}}, "ll", Open},
		{"pardoned kinds", &breakerpb.BreakerConfig{FailureThreshold: number(1),
			IgnoredErrors: &breakerpb.ErrorGlobs{Globs: []string{"http.4*"}}}, "ppp", Closed},
		{"other kinds", &breakerpb.BreakerConfig{FailureThreshold: number(1),
			FailureErrors: &breakerpb.ErrorGlobs{Globs: []string{"http.5*"}}}, "pppf", Open},
		{"too long", &breakerpb.BreakerConfig{FailureThreshold: number(1), CallTimeout: durationpb.New(time.Second)}, "l", Open},
	} {
		w := localWith(t, c.config, Closed)
		if w.play(c.calls); w.l.state != c.state {
			t.Errorf("%s: %s after %s", c.what, w.l.state, c.calls)
		}
	}
}

func TestAWindowOverTimeForgets(t *testing.T) {
	w := localWith(t, &breakerpb.BreakerConfig{FailureThreshold: number(0), Window: &breakerpb.Window{Duration: durationpb.New(10 * time.Second)},
		FailureRate: &breakerpb.FailureRate{Percent: 50, MinimumCalls: 4}}, Closed)
	w.play("fff")
	w.now += int64(11 * time.Second)
	w.play("f")
	if w.l.state != Closed || w.l.window.calls != 1 || len(w.l.window.buckets) != 1 {
		t.Errorf("%+v", w.l.window)
	}
	w.now += int64(5 * time.Second)
	if w.play("fff"); w.l.state != Open {
		t.Error(w.l.state)
	}
}

func TestLocalProbesAreJudgedTogetherAndOpenGrows(t *testing.T) {
	w := localWith(t, &breakerpb.BreakerConfig{ProbeCalls: &breakerpb.ProbeCalls{Calls: 4, FailurePercent: 50},
		OpenDuration: durationpb.New(time.Second), Backoff: &breakerpb.Backoff{Multiplier: 2, Max: durationpb.New(3 * time.Second)}}, HalfOpen)
	for _, lasts := range []time.Duration{2, 3, 3} {
		if w.play("ffss"); w.l.state != Open || time.Duration(w.l.retryAt-w.now) != lasts*time.Second {
			t.Fatal(w.l.state, time.Duration(w.l.retryAt-w.now))
		}
		w.now = w.l.retryAt
	}
	if w.play("fsss"); w.l.state != Closed {
		t.Error(w.l.state)
	}
}

func TestWhatWasInForceIsKept(t *testing.T) {
	c := newLocalConfig(&breakerpb.BreakerConfig{FailureThreshold: number(5)}, &breakerpb.EffectiveValues{
		FailureThreshold: 2, OpenDuration: durationpb.New(3 * time.Second), SuccessThreshold: 1, MaxProbes: 7,
	})
	if c.failureThreshold != 2 || c.openDuration != 3*time.Second || c.successThreshold != 1 || c.maxProbes != 7 {
		t.Errorf("%+v", c)
	}
}
