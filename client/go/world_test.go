package breakerd

import (
	"flag"
	"io"
	"log/slog"
	"os"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"breakerd.dev/client/go/breakerpb"
	"breakerd.dev/client/go/internal/daemon"
)

// TestMain starts a server for the examples; benchmarks alone need none.
func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.run").Value.String() == "^$" {
		os.Exit(m.Run())
	}
	os.Exit(daemon.Run(m.Run))
}

// offline is a client whose background never begins, so that a test can play its parts by itself.
func offline(tb testing.TB, options ...Option) *Client {
	tb.Helper()
	c, err := New([]string{"127.0.0.1:1"}, append([]Option{quiet}, options...)...)
	if err != nil {
		tb.Fatal(err)
	}
	c.begun = true
	tb.Cleanup(func() { _ = c.Close() })
	return c
}

// quiet logs nowhere.
var quiet = WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil)))

// manual gives a client a clock that stands still until it is moved.
func manual(c *Client) *int64 {
	now := int64(time.Hour)
	c.clock = func() int64 { return now }
	return &now
}

// held is a breaker that the copy of a READY client holds in this state.
func held(c *Client, name string, state State) *Breaker {
	c.state.Store(uint32(ClientReady))
	b, err := c.Breaker(name)
	if err != nil {
		panic(err)
	}
	c.take(message(c, stateOfBreaker(name, state, 1)), nil, c.clock())
	return b
}

func stateOfBreaker(name string, state State, revision uint64) *breakerpb.BreakerState {
	return &breakerpb.BreakerState{
		Name: name, State: breakerpb.State(state), Mode: breakerpb.Mode_MODE_NORMAL,
		Generation: revision, Revision: revision,
		Config:    &breakerpb.BreakerConfig{CallTimeout: durationpb.New(10 * time.Second)},
		Effective: &breakerpb.EffectiveValues{MaxProbes: 3, FailureThreshold: 5, SuccessThreshold: 3},
	}
}

func message(_ *Client, states ...*breakerpb.BreakerState) *breakerpb.WatchResponse {
	return &breakerpb.WatchResponse{Changed: states, ServerTime: timestamppb.New(time.Unix(1_000_000, 0))}
}
