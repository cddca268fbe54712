// Package breakergrpc guards gRPC with breakers of breakerd: the calls of clients, and the methods of
// servers, by interceptors.
package breakergrpc

import (
	"context"
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	breakerd "breakerd.dev/client/go"
)

// Pick says which breaker guards a method, `/package.Service/Method`; nil for none.
type Pick func(method string) *breakerd.Breaker

// Fixed picks the same breaker for every method.
func Fixed(breaker *breakerd.Breaker) Pick {
	return func(string) *breakerd.Breaker { return breaker }
}

// Classify says what the status of an error means. UNAVAILABLE, INTERNAL, UNKNOWN, DATA_LOSS,
// RESOURCE_EXHAUSTED and ABORTED are FAILUREs of the kind `grpc.UNAVAILABLE`, DEADLINE_EXCEEDED is a TIMEOUT and
// CANCELLED is IGNORED. All others are answers of a dependency that works.
func Classify(err error) breakerd.Verdict {
	switch code := status.Code(err); code {
	case codes.Canceled:
		return breakerd.Verdict{Outcome: breakerd.Ignored}
	case codes.DeadlineExceeded:
		return breakerd.Verdict{Outcome: breakerd.Timeout}
	case codes.Unavailable, codes.Internal, codes.Unknown, codes.DataLoss, codes.ResourceExhausted, codes.Aborted:
		return breakerd.Verdict{Outcome: breakerd.Failure, Kind: breakerd.GRPCKind(code)}
	}
	return breakerd.Verdict{Outcome: breakerd.Success}
}

// UnaryClientInterceptor guards unary calls; they end with the breaker's call_timeout at the latest. A
// call that is denied fails with a [*breakerd.DeniedError], whose gRPC status is UNAVAILABLE.
func UnaryClientInterceptor(pick Pick) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, request, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
		breaker := pick(method)
		if breaker == nil {
			return invoke(ctx, method, request, reply, cc, options...)
		}
		guard, err := breaker.Acquire(ctx)
		if err != nil {
			return err
		}
		defer guard.Failure("panic")
		callContext, cancel := context.WithTimeout(ctx, guard.CallTimeout())
		defer cancel()
		err = invoke(callContext, method, request, reply, cc, options...)
		guard.End(Classify(err))
		return err
	}
}

// StreamClientInterceptor guards the opening of streams: the first message that comes, or the end of
// the stream before, is the outcome. What happens to the stream later, and how long it lives, is not
// judged; streams on which the server may be silent for longer than call_timeout are better left out
// by pick.
func StreamClientInterceptor(pick Pick) grpc.StreamClientInterceptor {
	return func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, options ...grpc.CallOption) (grpc.ClientStream, error) {
		breaker := pick(method)
		if breaker == nil {
			return open(ctx, desc, cc, method, options...)
		}
		stream := new(clientStream)
		var err error
		if stream.guard, err = breaker.Acquire(ctx); err != nil {
			return nil, err
		}
		defer func() {
			if panicked := recover(); panicked != nil {
				stream.end(breakerd.Verdict{Outcome: breakerd.Failure, Kind: "panic"})
				panic(panicked)
			}
		}()
		stream.ClientStream, err = open(ctx, desc, cc, method, options...)
		if err != nil {
			stream.end(Classify(err))
			return nil, err
		}
		// Whoever gives up a stream cancels its context, and may never read again.
		stream.forget = context.AfterFunc(ctx, func() { stream.end(breakerd.Classify(ctx.Err())) })
		return stream, nil
	}
}

type clientStream struct {
	grpc.ClientStream
	once  sync.Once
	guard breakerd.Guard
	// forget ends the watch over the context.
	forget func() bool
}

func (s *clientStream) RecvMsg(message any) error {
	err := s.ClientStream.RecvMsg(message)
	if err == io.EOF {
		s.end(breakerd.Verdict{Outcome: breakerd.Success})
	} else {
		s.end(Classify(err))
	}
	s.forget()
	return err
}

func (s *clientStream) end(verdict breakerd.Verdict) {
	s.once.Do(func() { s.guard.End(verdict) })
}
