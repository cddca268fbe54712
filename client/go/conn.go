package breakerd

import (
	"context"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"breakerd.dev/client/go/breakerpb"
)

const (
	// pingInterval is how often a connection is checked for life, and pingTimeout how long the answer
	// may take.
	pingInterval = 10 * time.Second
	pingTimeout  = 5 * time.Second
	// maxMessageBytes bounds what a server may send at once.
	maxMessageBytes = 16 << 20
)

func dialOptions(s settings) []grpc.DialOption {
	// Deprecated, and promised for all of grpc 1: what is in its place is not in the oldest grpc that
	// this package works with.
	transport := grpc.WithInsecure()
	if s.tls != nil {
		transport = grpc.WithTransportCredentials(credentials.NewTLS(s.tls.Clone()))
	}
	options := []grpc.DialOption{
		transport,
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingInterval, Timeout: pingTimeout, PermitWithoutStream: true}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessageBytes)),
		// Nothing that a name server says about retries or balancing changes what this client does.
		grpc.WithDisableServiceConfig(),
		grpc.WithDisableRetry(),
	}
	if s.token != "" {
		bearer := "Bearer " + s.token
		with := func(ctx context.Context) context.Context {
			return metadata.AppendToOutgoingContext(ctx, "authorization", bearer)
		}
		options = append(options,
			grpc.WithUnaryInterceptor(func(ctx context.Context, method string, request, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, o ...grpc.CallOption) error {
				return invoke(with(ctx), method, request, reply, cc, o...)
			}),
			grpc.WithStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, o ...grpc.CallOption) (grpc.ClientStream, error) {
				return open(with(ctx), desc, cc, method, o...)
			}))
	}
	return options
}

// connect is the service of a server, over a connection that is made now if there is none.
func (s *servers) connect(server *server) (breakerpb.BreakerServiceClient, *grpc.ClientConn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, ErrClosed
	}
	if server.conn == nil {
		conn, err := grpc.Dial(server.address, s.options...)
		if err != nil {
			return nil, nil, err
		}
		server.conn, server.dialedAt = conn, time.Now()
	}
	return breakerpb.NewBreakerServiceClient(server.conn), server.conn, nil
}

// disconnect drops a connection that could not be made, so that the next request tries at once: when
// that is, this client says and not gRPC's own backoff. One that is quite young stays, and fails what
// comes meanwhile: calls that ask for permits must not storm a server that is away.
func (s *servers) disconnect(server *server, conn *grpc.ClientConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	isOld := time.Since(server.dialedAt) >= s.redialAfter
	if server.conn == conn && isOld && conn.GetState() == connectivity.TransientFailure {
		server.drop()
	}
}

// reconnect drops a connection that seems dead.
func (s *servers) reconnect(server *server, conn *grpc.ClientConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if server.conn == conn {
		server.drop()
	}
}

func (s *server) drop() {
	if s.conn != nil {
		// It fails only where it was closed before.
		_ = s.conn.Close()
		s.conn = nil
	}
}

// close closes all connections, and lets nobody make another one.
func (s *servers) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, server := range append(s.learned, s.configured...) {
		server.drop()
	}
}

// A refusal is how a server that does not serve a request says so.
type refusal struct {
	// leader is where the leader listens, if the server stands by and knows.
	leader string
	// invalid: the request was wrong.
	invalid bool
}

func refusalOf(err error) refusal {
	of, _ := status.FromError(err)
	switch of.Code() {
	case codes.InvalidArgument, codes.NotFound:
		return refusal{invalid: true}
	case codes.Unavailable:
		for _, detail := range of.Details() {
			info, ok := detail.(*errdetails.ErrorInfo)
			if ok && info.GetDomain() == "breakerd.dev" && info.GetReason() == "NOT_LEADER" {
				return refusal{leader: info.GetMetadata()["leader"]}
			}
		}
	}
	return refusal{}
}

// fail notes that a server did not serve a request, and moves the round on.
func (s *servers) fail(r *round, conn *grpc.ClientConn, why refusal) step {
	s.disconnect(r.server, conn)
	return s.advance(r, why.leader)
}

// acquire asks for a permit. The first context bounds the request, and the second how long it goes
// about the servers.
func (c *Client) acquire(ctx, wait context.Context, r *round, name string) (*breakerpb.AcquireResponse, error) {
	request := &breakerpb.AcquireRequest{Breaker: name, ClientId: c.settings.clientID}
	for {
		service, conn, err := c.servers.connect(r.server)
		if err != nil {
			return nil, err
		}
		response, err := service.Acquire(ctx, request)
		if err == nil {
			c.servers.settle(r)
			c.hear()
			return response, nil
		}
		why := refusalOf(err)
		if why.invalid || c.servers.fail(r, conn, why) == stepOver || wait.Err() != nil {
			return nil, err
		}
	}
}

// start runs something in the background that Close waits for; false if the client is closed.
func (c *Client) start(what func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed.Load() {
		return false
	}
	c.done.Add(1)
	go func() {
		defer c.done.Done()
		what()
	}()
	return true
}
