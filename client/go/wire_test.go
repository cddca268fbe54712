package breakerd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"breakerd.dev/client/go/breakerpb"
)

var quickly = WithBackoff(5*time.Millisecond, 20*time.Millisecond)

func TestAReportThatIsNotAnsweredIsRepeatedUnderItsNumber(t *testing.T) {
	f := fake(t)
	c := online(t, []string{f.address}, quickly)
	ready(t, c)
	b := covered(t, c, "a/b")
	var seen []*breakerpb.ReportRequest
	f.set(func() {
		f.refuse = func(what string, request *breakerpb.ReportRequest) error {
			if what != "report" {
				return nil
			}
			seen = append(seen, request)
			return []error{status.Error(codes.Internal, "so"), status.Error(codes.Unauthenticated, "so"),
				status.Error(codes.ResourceExhausted, "so"), nil, nil, nil}[len(seen)-1]
		}
	})
	call(t, b, Failure, "x")
	flush(t, c)
	call(t, b, Failure, "y")
	flush(t, c)
	f.set(func() {
		for i, sequence := range []uint64{1, 1, 1, 1, 2} {
			run := seen[i].Reports[0].Runs[0]
			if seen[i].Sequence != sequence || seen[i].ReporterId != seen[0].ReporterId || (run.ErrorKind == "x") != (i < 4) {
				t.Errorf("report %d: %v", i, seen[i])
			}
		}
		if first, last := seen[0].Reports[0].Runs[0].Age.AsDuration(), seen[3].Reports[0].Runs[0].Age.AsDuration(); last <= first {
			t.Error("a report is repeated with the age of now", first, last)
		}
	})
	if c.OutcomesGivenUp() != 0 {
		t.Error(c.OutcomesGivenUp())
	}
}

func TestOfAReportThatIsWrongOnlyWhatIsWrongItselfIsGivenUp(t *testing.T) {
	for _, code := range []codes.Code{codes.InvalidArgument, codes.NotFound} {
		f := fake(t)
		c := online(t, []string{f.address}, quickly)
		ready(t, c)
		b := covered(t, c, "a/b")
		f.set(func() {
			f.refuse = func(_ string, request *breakerpb.ReportRequest) error {
				for _, report := range request.GetReports() {
					for _, run := range report.Runs {
						if run.ErrorKind == "3" || run.ErrorKind == "8" {
							return status.Error(code, "wrong")
						}
					}
				}
				return nil
			}
		})
		for i := 0; i < 10; i++ {
			c.outcomes.push(outcomeRun(b.tallyOf(1), Failure, fmt.Sprint(i), c.clock()), false)
		}
		flush(t, c)
		got := ""
		for _, run := range f.runs() {
			got += run.ErrorKind
		}
		if got != "01245679" || c.OutcomesGivenUp() != 2 {
			t.Errorf("%v: %s arrived, %d were given up", code, got, c.OutcomesGivenUp())
		}
	}
}

func TestHistoryIsReportedAsSuch(t *testing.T) {
	f := fake(t)
	c := online(t, []string{f.address}, quickly)
	ready(t, c)
	b := covered(t, c, "a/b")
	c.outcomes.push(outcomeRun(b.tallyOf(1), Failure, "old", c.clock()-int64(20*time.Second)), false)
	c.outcomes.push(outcomeRun(b.tallyOf(1), Failure, "new", c.clock()), false)
	flush(t, c)
	f.set(func() {
		reports := f.reports[0].Reports
		if len(reports) != 2 || !reports[0].Late || reports[0].Runs[0].ErrorKind != "old" || reports[1].Late {
			t.Error(reports)
		}
	})
}

func TestTheLeaderThatIsNamedIsAskedAtOnceAndEveryRequestCarriesTheToken(t *testing.T) {
	leader, standby := fake(t), fake(t)
	standby.refuse = func(string, *breakerpb.ReportRequest) error { return notLeader(leader.address) }
	standby.permit = func(context.Context) (*breakerpb.AcquireResponse, error) { return nil, notLeader(leader.address) }
	leader.states = []*breakerpb.BreakerState{stateOfBreaker("a/half", HalfOpen, 1)}
	leader.permit = func(context.Context) (*breakerpb.AcquireResponse, error) {
		return &breakerpb.AcquireResponse{Allowed: true, Generation: 5, Permit: &breakerpb.Permit{Id: 9, TimeLeft: durationpb.New(time.Second)}}, nil
	}
	// With a wait that would make the test fail.
	c := online(t, []string{standby.address}, WithToken("s3cret"), WithBackoff(time.Minute, time.Minute))
	ready(t, c)
	b := covered(t, c, "a/half")
	// As if nobody had found the leader yet.
	c.servers.mu.Lock()
	c.servers.first = c.servers.configured[0]
	c.servers.mu.Unlock()
	guard, err := b.Acquire(context.Background())
	if err != nil || !guard.IsProbe() || guard.Generation() != 5 || guard.CallTimeout() != time.Second {
		t.Fatal(err, guard.IsProbe(), guard.Generation(), guard.CallTimeout())
	}
	c.servers.mu.Lock()
	c.servers.first = c.servers.configured[0]
	c.servers.mu.Unlock()
	guard.Success()
	flush(t, c)
	if runs := leader.runs(); len(runs) != 1 || runs[0].PermitId != 9 {
		t.Error(runs)
	}
	for _, f := range []*fakeServer{leader, standby} {
		f.set(func() {
			if len(f.tokens) != 1 || !f.tokens["Bearer s3cret"] {
				t.Error(f.tokens)
			}
		})
	}
}

func TestTheNextServerIsAskedWhereOneIsAway(t *testing.T) {
	f := fake(t)
	c := online(t, []string{"127.0.0.1:1", f.address}, quickly)
	ready(t, c)
	call(t, covered(t, c, "a/b"), Failure, "x")
	flush(t, c)
	if len(f.runs()) != 1 {
		t.Error(f.runs())
	}
}

func TestARoundAsksNoServerTwice(t *testing.T) {
	c := offline(t)
	s := c.servers
	s.configured = []*server{{address: "a:1"}, {address: "b:1"}, {address: "c:1"}}
	s.first = s.configured[0]
	r := s.begin()
	expect := func(leader string, how step, address string) {
		t.Helper()
		if got := s.advance(r, leader); got != how || r.server.address != address {
			t.Fatalf("%v %s", got, r.server.address)
		}
	}
	expect("", stepNext, "b:1")
	expect("x:1", stepLeader, "x:1")
	expect("a:1", stepNext, "c:1")
	expect("x:1", stepOver, "a:1")
	s.settle(r)
	if s.first.address != "a:1" {
		t.Error(s.first.address)
	}
	r = s.begin()
	expect("x:1", stepLeader, "x:1")
	expect("y:1", stepLeader, "y:1")
	expect("z:1", stepNext, "b:1")
	for i := 0; i < 10; i++ {
		s.learn(fmt.Sprintf("h%d:1", i))
	}
	if len(s.learned) != maxLearnedKept {
		t.Error(len(s.learned))
	}
}

func TestAPermitThatComesTooLateIsGivenBack(t *testing.T) {
	f := fake(t)
	f.states = []*breakerpb.BreakerState{stateOfBreaker("a/half", HalfOpen, 1)}
	release := make(chan struct{})
	f.permit = func(context.Context) (*breakerpb.AcquireResponse, error) {
		<-release
		return &breakerpb.AcquireResponse{Allowed: true, Generation: 1, Permit: &breakerpb.Permit{Id: 9}}, nil
	}
	c := online(t, []string{f.address}, WithPermitTimeout(3*time.Second), WithOnUnavailable(Deny))
	ready(t, c)
	b := covered(t, c, "a/half")
	expect := func(reason Reason) {
		t.Helper()
		var denied *DeniedError
		if _, err := b.Acquire(context.Background()); !errors.As(err, &denied) || denied.Reason != reason {
			t.Fatal(err)
		}
	}
	expect(ReasonUnavailable)
	// Only one call at a time asks now; the others are denied at once.
	done := make(chan struct{})
	go func() { defer close(done); expect(ReasonUnavailable) }()
	eventually(t, "the second Acquire", func() bool { f.mu.Lock(); defer f.mu.Unlock(); return f.acquires == 2 })
	began := time.Now()
	expect(ReasonNoPermit)
	if took := time.Since(began); took > 2*time.Second {
		t.Error(took)
	}
	<-done
	close(release)
	eventually(t, "both permits are given back", func() bool { return len(f.runs()) == 2 })
	for _, run := range f.runs() {
		if run.PermitId != 9 || run.Outcome != breakerpb.Outcome_OUTCOME_IGNORED {
			t.Error(run)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	f.set(func() {
		f.permit = func(ctx context.Context) (*breakerpb.AcquireResponse, error) { <-ctx.Done(); return nil, ctx.Err() }
	})
	if _, err := b.Acquire(ctx); err != context.Canceled {
		t.Error(err)
	}
}

func TestNewNamesAreOneChangeAndAStreamIsResumed(t *testing.T) {
	f := fake(t)
	c := online(t, []string{f.address}, quickly)
	ready(t, c)
	for i := 0; i < 100; i++ {
		if _, err := c.Breaker(fmt.Sprintf("a/%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	covered(t, c, "a/99")
	f.set(func() {
		last := f.watches[len(f.watches)-1]
		if len(f.watches) > 5 || len(last.Selectors) != 100 || last.ResumeToken != nil {
			t.Errorf("%d streams; the last: %v", len(f.watches), last)
		}
	})
	if c.State() != ClientReady {
		t.Error(c.State())
	}
}

func TestAFlushDoesNotWaitForWhatComesLater(t *testing.T) {
	f := fake(t)
	c := online(t, []string{f.address}, quickly, WithReportInterval(time.Hour))
	if err := c.Flush(context.Background()); err != nil {
		t.Error("nothing waits", err)
	}
	ready(t, c)
	b := covered(t, c, "a/b")
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				c.outcomes.push(outcomeRun(b.tallyOf(1), Ignored, "", c.clock()), false)
			}
		}
	}()
	c.outcomes.push(outcomeRun(b.tallyOf(1), Success, "", c.clock()), false)
	flush(t, c)
	close(stop)
	<-stopped
	if runs := f.runs(); len(runs) == 0 {
		t.Error("nothing arrived")
	}
	f.set(func() {
		f.refuse = func(string, *breakerpb.ReportRequest) error { return status.Error(codes.Internal, "so") }
	})
	call(t, b, Failure, "x")
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := c.Flush(ctx); err != context.DeadlineExceeded {
		t.Error(err)
	}
	f.set(func() { f.refuse = nil })
}

func TestTLS(t *testing.T) {
	service := grpc.NewServer()
	breakerpb.RegisterBreakerServiceServer(service, &fakeServer{tokens: make(map[string]bool)})
	server := httptest.NewUnstartedServer(service)
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	c := online(t, []string{server.Listener.Addr().String()}, WithTLS(&tls.Config{RootCAs: roots, ServerName: "example.com"}))
	ready(t, c)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}
