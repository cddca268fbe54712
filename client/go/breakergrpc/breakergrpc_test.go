package breakergrpc_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	breakerd "breakerd.dev/client/go"
	"breakerd.dev/client/go/breakergrpc"
	"breakerd.dev/client/go/internal/daemon"
	"breakerd.dev/client/go/internal/guarded"
)

func TestMain(m *testing.M) { os.Exit(daemon.Run(m.Run)) }

// aHealth is a server whose methods answer with a code that a test sets.
type aHealth struct {
	healthpb.UnimplementedHealthServer
	code  atomic.Uint32
	asked atomic.Uint32
}

func (h *aHealth) Check(context.Context, *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	h.asked.Add(1)
	if code := codes.Code(h.code.Load()); code != codes.OK {
		return nil, status.Error(code, "so")
	}
	return &healthpb.HealthCheckResponse{}, nil
}

func (h *aHealth) Watch(_ *healthpb.HealthCheckRequest, stream healthpb.Health_WatchServer) error {
	h.asked.Add(1)
	if code := codes.Code(h.code.Load()); code != codes.OK {
		return status.Error(code, "so")
	}
	if err := stream.Send(&healthpb.HealthCheckResponse{}); err != nil {
		return err
	}
	<-stream.Context().Done()
	return nil
}

// listen serves health, and is how to reach it.
func listen(tb testing.TB, service healthpb.HealthServer, options ...grpc.ServerOption) string {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	server := grpc.NewServer(options...)
	healthpb.RegisterHealthServer(server, service)
	go func() { _ = server.Serve(listener) }()
	tb.Cleanup(server.Stop)
	return listener.Addr().String()
}

func dial(tb testing.TB, address string, options ...grpc.DialOption) healthpb.HealthClient {
	tb.Helper()
	conn, err := grpc.Dial(address, append(options, grpc.WithInsecure())...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	return healthpb.NewHealthClient(conn)
}

func TestUnaryCallsOfAClientAreGuarded(t *testing.T) {
	server := new(aHealth)
	breaker := guarded.Opens(t, "grpc/unary", 2)
	client := dial(t, listen(t, server), grpc.WithUnaryInterceptor(breakergrpc.UnaryClientInterceptor(breakergrpc.Fixed(breaker))))
	check := func(code codes.Code) error {
		t.Helper()
		server.code.Store(uint32(code))
		_, err := client.Check(context.Background(), &healthpb.HealthCheckRequest{})
		if status.Code(err) != code {
			t.Fatal(err)
		}
		return err
	}
	for _, code := range []codes.Code{codes.OK, codes.NotFound, codes.InvalidArgument, codes.PermissionDenied, codes.Canceled, codes.Unavailable} {
		_ = check(code)
	}
	if guarded.IsOpen(breaker) {
		t.Error("one failure")
	}
	_ = check(codes.DeadlineExceeded)
	_, err := client.Check(context.Background(), &healthpb.HealthCheckRequest{})
	var denied *breakerd.DeniedError
	if !errors.As(err, &denied) || status.Code(err) != codes.Unavailable || server.asked.Load() != 7 {
		t.Error(err, server.asked.Load())
	}
}

func TestStreamsOfAClientAreJudgedByTheirFirstMessage(t *testing.T) {
	server := new(aHealth)
	breaker := guarded.Opens(t, "grpc/stream", 2)
	client := dial(t, listen(t, server), grpc.WithStreamInterceptor(breakergrpc.StreamClientInterceptor(breakergrpc.Fixed(breaker))))
	watch := func(ctx context.Context) error {
		stream, err := client.Watch(ctx, &healthpb.HealthCheckRequest{})
		if err != nil {
			return err
		}
		_, err = stream.Recv()
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	if err := watch(ctx); err != nil {
		t.Error(err)
	}
	cancel()
	server.code.Store(uint32(codes.Unavailable))
	for i := 0; i < 2; i++ {
		if guarded.IsOpen(breaker) {
			t.Fatal("too early")
		}
		if err := watch(context.Background()); status.Code(err) != codes.Unavailable {
			t.Error(err)
		}
	}
	if err := watch(context.Background()); server.asked.Load() != 3 || err == nil {
		t.Error(err)
	}
}

func TestMethodsOfAServerAreGuarded(t *testing.T) {
	server := new(aHealth)
	breaker := guarded.Opens(t, "grpc/server", 2)
	client := dial(t, listen(t, server,
		grpc.UnaryInterceptor(breakergrpc.UnaryServerInterceptor(breakergrpc.Fixed(breaker))),
		grpc.StreamInterceptor(breakergrpc.StreamServerInterceptor(breakergrpc.Fixed(breaker)))))
	server.code.Store(uint32(codes.Internal))
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, err := client.Check(ctx, &healthpb.HealthCheckRequest{})
	if status.Code(err) != codes.Internal {
		t.Error(err)
	}
	if stream, err := client.Watch(ctx, &healthpb.HealthCheckRequest{}); err == nil {
		_, err = stream.Recv()
		if status.Code(err) != codes.Internal {
			t.Error(err)
		}
	}
	_, err = client.Check(ctx, &healthpb.HealthCheckRequest{})
	if of := status.Convert(err); of.Code() != codes.Unavailable || len(of.Details()) != 1 || server.asked.Load() != 2 {
		t.Error(err, server.asked.Load())
	}
}

// A gRPC client of which every method asks a breaker first.
func Example() {
	client, err := breakerd.New([]string{os.Getenv("BREAKERD_ADDRESS")})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	inventory, err := client.Breaker("shop/inventory")
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer()
	healthpb.RegisterHealthServer(server, health.NewServer())
	go server.Serve(listener)
	defer server.Stop()

	conn, err := grpc.Dial(listener.Addr().String(),
		grpc.WithInsecure(), // or your credentials
		grpc.WithUnaryInterceptor(breakergrpc.UnaryClientInterceptor(breakergrpc.Fixed(inventory))))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	answer, err := healthpb.NewHealthClient(conn).Check(context.Background(), &healthpb.HealthCheckRequest{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.Status)
	// Output: SERVING
}
