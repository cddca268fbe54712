package breakerd

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"breakerd.dev/client/go/breakerpb"
)

// failUntilDenied lets calls fail until they are denied, and says how many were made, and why no more.
func failUntilDenied(b *Breaker) string {
	for calls := 0; calls < 20; calls++ {
		guard, err := b.Acquire(context.Background())
		var denied *DeniedError
		if errors.As(err, &denied) {
			return fmt.Sprintf("%d, %s", calls, denied.Reason)
		}
		guard.Failure("")
	}
	return "not denied"
}

// stale is a breaker of a client that was READY, and is STALE.
func stale(c *Client, change func(*breakerpb.BreakerState)) *Breaker {
	b := held(c, "a/b", Closed)
	c.setState(ClientReady, "")
	state := stateOfBreaker("a/b", Closed, 2)
	change(state)
	c.take(message(c, state), nil, c.clock())
	c.setState(ClientStale, "a test")
	return b
}

func TestStaleLeavesToTheLocalBreakerWhatTheCopyHasClosedWhereThatIsLocal(t *testing.T) {
	for _, of := range []struct {
		what   string
		client OnUnavailable
		change func(*breakerpb.BreakerState)
		want   string
	}{
		{"the client says local", Local, func(*breakerpb.BreakerState) {}, "5, local_open"},
		{"the client says allow", Allow, func(*breakerpb.BreakerState) {}, "not denied"},
		{"the client says deny", Deny, func(*breakerpb.BreakerState) {}, "not denied"},
		{"the breaker says local", Deny, func(s *breakerpb.BreakerState) {
			s.Config.OnUnavailable = breakerpb.OnUnavailable_ON_UNAVAILABLE_LOCAL
		}, "5, local_open"},
		{"the breaker says allow", Local, func(s *breakerpb.BreakerState) {
			s.Config.OnUnavailable = breakerpb.OnUnavailable_ON_UNAVAILABLE_ALLOW
		}, "not denied"},
		{"SHADOW", Local, func(s *breakerpb.BreakerState) { s.Mode = breakerpb.Mode_MODE_SHADOW }, "not denied"},
		{"DISABLED", Local, func(s *breakerpb.BreakerState) { s.Mode = breakerpb.Mode_MODE_DISABLED }, "not denied"},
		{"FORCED_CLOSED", Local, func(s *breakerpb.BreakerState) { s.Mode = breakerpb.Mode_MODE_FORCED_CLOSED }, "not denied"},
		{"FORCED_OPEN", Local, func(s *breakerpb.BreakerState) { s.Mode = breakerpb.Mode_MODE_FORCED_OPEN }, "0, forced_open"},
		{"OPEN", Local, func(s *breakerpb.BreakerState) {
			s.State, s.RetryTime = breakerpb.State_STATE_OPEN, timestamppb.New(time.Unix(1_000_009, 0))
		}, "0, open"},
	} {
		c := offline(t, WithOnUnavailable(of.client))
		b := stale(c, of.change)
		if got := failUntilDenied(b); got != of.want {
			t.Errorf("%s: %s", of.what, got)
		}
	}
}

func TestStaleLeavesToTheLocalBreakerWhatDoesNotExist(t *testing.T) {
	for client, want := range map[OnUnavailable]string{Local: "5, local_open", Deny: "not denied"} {
		c := offline(t, WithOnUnavailable(client))
		c.covered = []string{"a/*"}
		c.setState(ClientReady, "")
		b, _ := c.Breaker("a/b")
		c.setState(ClientStale, "a test")
		if got := failUntilDenied(b); got != want {
			t.Errorf("%s: %s", client, got)
		}
	}
}

func TestWhatTrippedInStaleStaysSoInFallbackAndReadyForgetsIt(t *testing.T) {
	c := offline(t)
	b := stale(c, func(*breakerpb.BreakerState) {})
	if got := failUntilDenied(b); got != "5, local_open" {
		t.Fatal(got)
	}
	if got := outcomesOf(c); got != "a/b@2 failure x5" {
		t.Error(got)
	}
	if status := b.Status(); status.Client != ClientStale || status.State != Closed {
		t.Error(status)
	}
	c.setState(ClientFallback, "a test")
	if got := failUntilDenied(b); got != "0, local_open" {
		t.Error(got)
	}
	c.setState(ClientReady, "")
	if got := failUntilDenied(b); got != "not denied" {
		t.Error(got)
	}
	c.setState(ClientStale, "a test")
	if got := failUntilDenied(b); got != "5, local_open" {
		t.Error("it begins CLOSED again", got)
	}
}

func TestALocalBreakerThatProbesIsForgottenWhenTheCopyIsClosed(t *testing.T) {
	c := offline(t)
	b := stale(c, func(s *breakerpb.BreakerState) { s.State = breakerpb.State_STATE_HALF_OPEN })
	c.setState(ClientFallback, "a test")
	if got := failUntilDenied(b); got != "1, local_open" {
		t.Fatal(got)
	}
	c.take(message(c, stateOfBreaker("a/b", Closed, 3)), nil, c.clock())
	if got := failUntilDenied(b); got != "5, local_open" {
		t.Error(got)
	}
}
