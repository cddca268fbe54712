package breakerd

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"breakerd.dev/client/go/breakerpb"
)

// A fakeServer answers as a test wants it. It keeps a client READY, with the states that it is given.
type fakeServer struct {
	breakerpb.UnimplementedBreakerServiceServer
	address string

	mu sync.Mutex
	// refuse is asked before each Report and Watch; what it says is answered.
	refuse func(what string, report *breakerpb.ReportRequest) error
	// permit answers Acquire.
	permit   func(context.Context) (*breakerpb.AcquireResponse, error)
	states   []*breakerpb.BreakerState
	reports  []*breakerpb.ReportRequest
	watches  []*breakerpb.WatchRequest
	tokens   map[string]bool
	acquires int
}

func fake(tb testing.TB) *fakeServer {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	f := &fakeServer{address: listener.Addr().String(), tokens: make(map[string]bool)}
	server := grpc.NewServer()
	breakerpb.RegisterBreakerServiceServer(server, f)
	go func() { _ = server.Serve(listener) }()
	tb.Cleanup(server.Stop)
	return f
}

func (f *fakeServer) note(ctx context.Context) {
	from, _ := metadata.FromIncomingContext(ctx)
	for _, token := range from.Get("authorization") {
		f.tokens[token] = true
	}
}

func (f *fakeServer) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *fakeServer) Report(ctx context.Context, request *breakerpb.ReportRequest) (*breakerpb.ReportResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.note(ctx)
	if f.refuse != nil {
		if err := f.refuse("report", request); err != nil {
			return nil, err
		}
	}
	f.reports = append(f.reports, request)
	return &breakerpb.ReportResponse{}, nil
}

func (f *fakeServer) Acquire(ctx context.Context, _ *breakerpb.AcquireRequest) (*breakerpb.AcquireResponse, error) {
	f.mu.Lock()
	f.note(ctx)
	f.acquires++
	permit := f.permit
	f.mu.Unlock()
	if permit == nil {
		return nil, status.Error(codes.Unimplemented, "no permits here")
	}
	return permit(ctx)
}

func (f *fakeServer) Watch(request *breakerpb.WatchRequest, stream breakerpb.BreakerService_WatchServer) error {
	f.mu.Lock()
	f.note(stream.Context())
	f.watches = append(f.watches, request)
	states := f.states
	var err error
	if f.refuse != nil {
		err = f.refuse("watch", nil)
	}
	f.mu.Unlock()
	if err != nil {
		return err
	}
	for {
		message := &breakerpb.WatchResponse{Changed: states, SnapshotComplete: true, ServerTime: timestamppb.Now(), ResumeToken: []byte("token")}
		if err := stream.Send(message); err != nil {
			return err
		}
		states = nil
		select {
		case <-stream.Context().Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

// runs are those of all reports that were taken, in their order.
func (f *fakeServer) runs() (runs []*breakerpb.Run) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, request := range f.reports {
		for _, report := range request.Reports {
			runs = append(runs, report.Runs...)
		}
	}
	return runs
}

// notLeader is what a server that stands by answers.
func notLeader(leader string) error {
	info := &errdetails.ErrorInfo{Reason: "NOT_LEADER", Domain: "breakerd.dev"}
	if leader != "" {
		info.Metadata = map[string]string{"leader": leader}
	}
	of, err := status.New(codes.Unavailable, "this server stands by").WithDetails(info)
	if err != nil {
		return err
	}
	return of.Err()
}

// online is a client that is closed with the test.
func online(tb testing.TB, addresses []string, options ...Option) *Client {
	tb.Helper()
	c, err := New(addresses, append([]Option{quiet}, options...)...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	return c
}

func ready(tb testing.TB, c *Client) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := c.Ready(ctx); err != nil {
		tb.Fatal(err)
	}
}

// covered is a breaker of which the copy knows how it is.
func covered(tb testing.TB, c *Client, name string) *Breaker {
	tb.Helper()
	b, err := c.Breaker(name)
	if err != nil {
		tb.Fatal(err)
	}
	eventually(tb, name+" is covered", func() bool { return b.view.Load().covered })
	return b
}

func call(tb testing.TB, b *Breaker, outcome Outcome, kind string) {
	tb.Helper()
	guard, err := b.Acquire(context.Background())
	if err != nil {
		tb.Fatal(err)
	}
	guard.End(Verdict{outcome, kind})
}

func flush(tb testing.TB, c *Client) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := c.Flush(ctx); err != nil {
		tb.Fatal(err)
	}
}
