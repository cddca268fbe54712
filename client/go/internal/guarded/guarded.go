// Package guarded has what the tests of the sub-packages guard: breakers of a real server that open
// by the guard of their process alone.
package guarded

import (
	"context"
	"io"
	"log/slog"
	"os"
	"testing"

	breakerd "breakerd.dev/client/go"
	"breakerd.dev/client/go/breakerpb"
)

// Opens is a breaker that this many failures open, of the server that daemon.Run has started.
func Opens(tb testing.TB, name string, failures uint32) *breakerd.Breaker {
	tb.Helper()
	client, err := breakerd.New([]string{os.Getenv("BREAKERD_ADDRESS")},
		breakerd.WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil))),
		breakerd.WithLocalGuard(&breakerpb.BreakerConfig{FailureThreshold: &failures}))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = client.Close() })
	breaker, err := client.Breaker(name)
	if err != nil {
		tb.Fatal(err)
	}
	return breaker
}

// IsOpen says whether a breaker denies a call.
func IsOpen(b *breakerd.Breaker) bool {
	guard, err := b.Acquire(context.Background())
	guard.Ignored()
	return err != nil
}
