package breakerd

import (
	"context"
	"errors"
	"net"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"

	"breakerd.dev/client/go/breakerpb"
	"breakerd.dev/client/go/internal/daemon"
)

// serve starts a real breakerd, which ends with the test.
func serve(tb testing.TB, address string) *daemon.Daemon {
	tb.Helper()
	d, err := daemon.Start(address)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(d.Kill)
	return d
}

// report makes a breaker what failures make of it, as another replica would.
func report(tb testing.TB, d *daemon.Daemon, breaker string, failures uint32) {
	tb.Helper()
	conn, err := grpc.Dial(d.Address, dialOptions(settings{})...)
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close()
	_, err = breakerpb.NewBreakerServiceClient(conn).Report(context.Background(), &breakerpb.ReportRequest{Reports: []*breakerpb.BreakerReport{{
		Breaker: breaker, Runs: []*breakerpb.Run{{Outcome: breakerpb.Outcome_OUTCOME_FAILURE, Count: failures}},
	}}})
	if err != nil {
		tb.Fatal(err)
	}
}

// decide makes so many calls, and says how many were allowed, and how long 99 of 100 decisions took at
// most: the scheduler of a busy machine may have the rest.
func decide(b *Breaker, times int) (allowed int, most time.Duration) {
	took := make([]time.Duration, times)
	for i := range took {
		began := time.Now()
		guard, err := b.Acquire(context.Background())
		took[i] = time.Since(began)
		if err == nil {
			allowed++
			guard.Success()
		}
	}
	slices.Sort(took)
	return allowed, took[times*99/100]
}

func TestTheFleetOpensABreakerForThisClient(t *testing.T) {
	d := serve(t, "127.0.0.1:0")
	c := online(t, []string{d.Address})
	ready(t, c)
	b := covered(t, c, "e2e/shop")
	call(t, b, Success, "")
	eventually(t, "the breaker exists", func() bool { return b.Status().State == Closed })
	report(t, d, "e2e/shop", 6)
	eventually(t, "it is open", func() bool { return b.Status().State == Open })
	var denied *DeniedError
	if err := b.Do(context.Background(), nil); !errors.As(err, &denied) || denied.Reason != ReasonOpen || denied.RetryAfter < 50*time.Second {
		t.Error(err)
	}
}

func TestAnOutageIsSurvived(t *testing.T) {
	d := serve(t, "127.0.0.1:0")
	c := online(t, []string{d.Address}, WithMaxStaleness(3*time.Second), WithPermitTimeout(5*time.Second), quickly)
	ready(t, c)
	open, closed := covered(t, c, "e2e/open"), covered(t, c, "e2e/closed")
	call(t, closed, Success, "")
	report(t, d, "e2e/open", 5)
	eventually(t, "both are known", func() bool { return open.Status().State == Open && closed.Status().State == Closed })
	d.Kill()
	eventually(t, "STALE", func() bool { return c.State() == ClientStale })
	if allowed, _ := decide(open, 10); allowed != 0 {
		t.Error("an OPEN breaker holds in STALE")
	}
	if allowed, took := decide(closed, 1000); allowed != 1000 || took > 500*time.Millisecond {
		t.Error(allowed, took)
	}
	eventually(t, "FALLBACK", func() bool { return c.State() == ClientFallback })
	if allowed, _ := decide(open, 10); allowed != 10 {
		t.Error("a local breaker probes, and three successes close it", allowed)
	}
	again := serve(t, d.Address)
	ready(t, c)
	flush(t, c)
	if c.OutcomesGivenUp() != 0 {
		t.Error(c.OutcomesGivenUp())
	}
	report(t, again, "e2e/closed", 20)
	eventually(t, "the fleet's state is pushed again", func() bool { return closed.Status().State == Open })
}

func TestAServerThatHangsMakesNoCallWait(t *testing.T) {
	d := serve(t, "127.0.0.1:0")
	c := online(t, []string{d.Address})
	ready(t, c)
	b := covered(t, c, "e2e/shop")
	call(t, b, Success, "")
	eventually(t, "the breaker exists", func() bool { return b.Status().State == Closed })
	if err := d.Hang(); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < 20; i++ {
		call(t, b, Failure, "x")
	}
	if allowed, took := decide(b, 5_000); allowed != 5_000 || took > 20*time.Millisecond {
		t.Error(allowed, took)
	}
	if err := d.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	flush(t, c)
}

func TestClosingWithoutAServerEndsIn5Seconds(t *testing.T) {
	d := serve(t, "127.0.0.1:0")
	c := online(t, []string{d.Address})
	ready(t, c)
	b := covered(t, c, "e2e/shop")
	d.Kill()
	call(t, b, Failure, "x")
	began := time.Now()
	if err := c.Close(); err != ErrUnreported {
		t.Error(err)
	}
	if took := time.Since(began); took > 9*time.Second {
		t.Error(took)
	}
	if c.OutcomesGivenUp() != 1 || c.OutcomesWaiting() != 0 {
		t.Error(c.OutcomesGivenUp(), c.OutcomesWaiting())
	}
	call(t, b, Failure, "x")
	if c.Close() != nil || c.OutcomesGivenUp() != 1 || c.State() != ClientFallback {
		t.Error("after the end nothing is reported")
	}
	if c.Ready(context.Background()) != ErrClosed {
		t.Error("nobody waits for a client that is closed")
	}
}

func TestNoGoroutineIsLeft(t *testing.T) {
	d := serve(t, "127.0.0.1:0")
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer dead.Close()
	before := runtime.NumGoroutine()
	for i := 0; i < 5; i++ {
		// The second one accepts and says nothing.
		c := online(t, []string{d.Address, dead.Addr().String()})
		c.OnTransition(func(Transition) { panic("a listener that fails") })
		c.OnState(func(ClientState) { panic("a listener that fails") })
		ready(t, c)
		b := covered(t, c, "e2e/leak")
		for j := 0; j < 10; j++ {
			if guard, err := b.Acquire(context.Background()); err == nil {
				guard.Failure("x")
			}
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := New([]string{d.Address}, quiet); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all goroutines have ended", func() bool { return runtime.NumGoroutine() <= before })
}
