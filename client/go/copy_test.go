package breakerd

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"breakerd.dev/client/go/breakerpb"
)

func isHeld(b *Breaker, state State, revision uint64) bool {
	v := b.view.Load()
	return v.exists && v.state == state && v.revision == revision
}

func TestASnapshotRemovesWhatDidNotComeAndIsNeverEmptyMeanwhile(t *testing.T) {
	c := offline(t)
	a, b := held(c, "a/a", Open), held(c, "a/b", Open)
	of := newSnapshot([]string{"a/*"}, false)
	c.take(message(c, stateOfBreaker("a/a", Closed, 2), stateOfBreaker("a/extra", Closed, 9)), of, c.clock())
	if !isHeld(a, Closed, 2) || !isHeld(b, Open, 1) {
		t.Fatal("the copy changes one by one")
	}
	complete := message(c)
	complete.SnapshotComplete = true
	c.take(complete, of, c.clock())
	if v := b.view.Load(); v.exists || !v.covered || v.state != Closed || v.generation != 0 {
		t.Error("a/b is gone", v)
	}
	if b.Status().State != Unknown {
		t.Error(b.Status())
	}
	if later, err := c.Breaker("a/later"); err != nil || !later.view.Load().covered {
		t.Error("a whole snapshot covers names that come later", err)
	}
	if other, err := c.Breaker("b/other"); err != nil || other.view.Load().covered {
		t.Error("and no others", err)
	}
	c.take(&breakerpb.WatchResponse{Deleted: []string{"a/extra"}}, nil, c.clock())
	if c.breakers["a/extra"] != nil {
		t.Error("a breaker that nobody asked for is forgotten")
	}
}

func TestALowerRevisionIsDroppedExceptAfterAReset(t *testing.T) {
	c := offline(t)
	b := held(c, "a/b", Open)
	take := func(of *snapshot, state State, revision uint64) {
		c.take(message(c, stateOfBreaker("a/b", state, revision)), of, c.clock())
	}
	take(nil, HalfOpen, 5)
	take(nil, Open, 4)
	take(newSnapshot(nil, false), Open, 4)
	if !isHeld(b, HalfOpen, 5) {
		t.Error("an older state was taken")
	}
	afresh := newSnapshot(nil, true)
	take(afresh, Closed, 3)
	if !isHeld(b, Closed, 3) {
		t.Error("a server that has begun anew is right")
	}
	take(afresh, Open, 2)
	if !isHeld(b, Closed, 3) {
		t.Error("but its states come in order")
	}
	answer := func(state State, revision uint64) {
		c.takeAnswer(&breakerpb.ReportResponse{States: []*breakerpb.BreakerState{
			stateOfBreaker("a/b", state, revision), stateOfBreaker("a/nobody", Open, 9),
		}}, c.clock())
	}
	answer(Open, 2)
	if !isHeld(b, Closed, 3) {
		t.Error("an answer that is older was taken")
	}
	if answer(Open, 4); !isHeld(b, Open, 4) || c.breakers["a/nobody"] != nil {
		t.Error("an answer is taken of breakers that the copy holds")
	}
}

func TestTimesOfTheServerBecomeDurations(t *testing.T) {
	c := offline(t)
	now := manual(c)
	held(c, "a/b", Closed)
	state := stateOfBreaker("a/b", Open, 2)
	// A clock that is decades behind.
	state.RetryTime = timestamppb.New(time.Unix(3, 0))
	c.take(&breakerpb.WatchResponse{Changed: []*breakerpb.BreakerState{state}, ServerTime: timestamppb.New(time.Unix(1, 0))}, nil, *now)
	b := c.breakers["a/b"]
	*now += int64(500 * time.Millisecond)
	if status := b.Status(); status.RetryAfter != 1500*time.Millisecond || status.State != Open {
		t.Error(status)
	}
}

func TestTransitionsAreHeardOnceInOrderAndPanicsHarmNothing(t *testing.T) {
	c := offline(t)
	var mu sync.Mutex
	var heard []string
	listen := func(who string) func(Transition) {
		return func(tr Transition) {
			mu.Lock()
			heard = append(heard, fmt.Sprintf("%s %s %s/%s-%s/%s", who, tr.Breaker, tr.From.State, tr.From.Mode, tr.To.State, tr.To.Mode))
			mu.Unlock()
			panic("a listener that fails")
		}
	}
	c.OnTransition(listen("all"))
	b := held(c, "a/b", Closed)
	b.OnTransition(listen("one"))
	c.take(message(c, stateOfBreaker("a/b", Open, 2)), nil, c.clock())
	c.take(message(c, stateOfBreaker("a/b", Open, 3)), nil, c.clock())
	forced := stateOfBreaker("a/b", Open, 4)
	forced.Mode = breakerpb.Mode_MODE_FORCED_OPEN
	c.take(message(c, forced), nil, c.clock())
	leveled := stateOfBreaker("a/b", Open, 5)
	leveled.Mode, leveled.Level = forced.Mode, &breakerpb.CurrentLevel{Name: "critical", Number: 1, Serve: "degraded"}
	c.take(message(c, leveled), nil, c.clock())
	want := []string{
		"one a/b closed/normal-open/normal", "all a/b closed/normal-open/normal",
		"one a/b open/normal-open/forced_open", "all a/b open/normal-open/forced_open",
		"one a/b open/forced_open-open/forced_open", "all a/b open/forced_open-open/forced_open",
	}
	eventually(t, "six transitions", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return slices.Equal(heard, want)
	})
}

func TestSlowListenersCostTheOldestEvents(t *testing.T) {
	c := offline(t)
	blocked, begun := make(chan struct{}), make(chan struct{})
	var heard []ClientState
	var mu sync.Mutex
	c.OnState(func(state ClientState) {
		if heard == nil {
			close(begun)
			<-blocked
		}
		mu.Lock()
		heard = append(heard, state)
		mu.Unlock()
	})
	c.events.state(ClientReady)
	<-begun
	for i := 0; i < maxEvents; i++ {
		c.events.state(ClientStale)
	}
	c.events.state(ClientFallback)
	close(blocked)
	eventually(t, "the last event", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(heard) == maxEvents+1 && heard[maxEvents] == ClientFallback
	})
}

func TestSelectorsAreGatheredWhereTheyAreTooMany(t *testing.T) {
	names := func(count int, name func(int) string) []string {
		var all []string
		for i := 0; i < count; i++ {
			all = append(all, name(i))
		}
		return all
	}
	if got := gatherSelectors(nil, nil); !slices.Equal(got, []string{nobody}) {
		t.Error(got)
	}
	if got := gatherSelectors([]string{"shop/*"}, []string{"shop/a", "bank/b"}); !slices.Equal(got, []string{"bank/b", "shop/*"}) {
		t.Error(got)
	}
	items := names(1_001, func(i int) string { return fmt.Sprintf("shop/%d", i) })
	if got := gatherSelectors([]string{"x/y"}, items[:999]); len(got) != 1_000 {
		t.Error(len(got))
	}
	if got := gatherSelectors([]string{"x/y"}, items); !slices.Equal(got, []string{"shop/**", "x/y"}) {
		t.Error(got)
	}
	if got := gatherSelectors(nil, names(1_001, func(i int) string { return fmt.Sprintf("%d/x", i) })); !slices.Equal(got, []string{"**"}) {
		t.Error(got)
	}
}

func TestTheCopyDecides(t *testing.T) {
	now := int64(time.Hour)
	percent := uint32(0)
	for _, c := range []struct {
		what     string
		change   func(*breakerpb.BreakerState)
		decision decision
		reason   Reason
	}{
		{"closed", func(*breakerpb.BreakerState) {}, decideAllow, ""},
		{"open", func(s *breakerpb.BreakerState) { s.State = 2; s.RetryTime = timestamppb.New(time.Unix(9, 0)) }, decideDeny, ReasonOpen},
		{"open, over", func(s *breakerpb.BreakerState) { s.State = 2; s.RetryTime = timestamppb.New(time.Unix(8, 0)) }, decideAsk, ""},
		{"half open", func(s *breakerpb.BreakerState) { s.State = 3 }, decideAsk, ""},
		{"ramp", func(s *breakerpb.BreakerState) { s.State = 3; s.AdmitPercent = &percent }, decideDeny, ReasonRamp},
		{"forced open", func(s *breakerpb.BreakerState) { s.State = 2; s.Mode = 2 }, decideDeny, ReasonForcedOpen},
		{"forced closed", func(s *breakerpb.BreakerState) { s.Mode = 3 }, decideAllow, ""},
		{"disabled", func(s *breakerpb.BreakerState) { s.Mode = 4 }, decideAllow, ""},
		{"shadow, open", func(s *breakerpb.BreakerState) {
			s.State = 2
			s.Mode = 5
			s.RetryTime = timestamppb.New(time.Unix(9, 0))
		}, decideAllow, ""},
		{"shadow, half open", func(s *breakerpb.BreakerState) { s.State = 3; s.Mode = 5 }, decideAsk, ""},
		{"shadow, ramp", func(s *breakerpb.BreakerState) { s.State = 3; s.Mode = 5; s.AdmitPercent = &percent }, decideAllow, ""},
	} {
		state := stateOfBreaker("a/b", Closed, 1)
		c.change(state)
		v := newView(state, timestamppb.New(time.Unix(8, 0)), now, &tally{})
		if got, reason := v.decide(now, new(rampCredit)); got != c.decision || reason != c.reason {
			t.Errorf("%s: %v %q", c.what, got, reason)
		}
	}
	state := stateOfBreaker("a/b", Open, 1)
	state.Mode, state.OverrideExpireTime = 2, timestamppb.New(time.Unix(11, 0))
	if after := newView(state, timestamppb.New(time.Unix(8, 0)), now, nil).retryAfter(now); after != 3*time.Second {
		t.Error("an override ends", after)
	}
}

// eventually waits until something holds, for 10 s at most.
func eventually(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if holds() {
			return
		}
	}
	tb.Fatalf("not within 10 s: %s", what)
}
