package breakergrpc

import (
	"context"

	"google.golang.org/grpc"

	breakerd "breakerd.dev/client/go"
)

// UnaryServerInterceptor guards the methods of a server: while the breaker denies calls they are
// answered with UNAVAILABLE and a RetryInfo, and never reach the handler. A handler that panics is a
// FAILURE.
func UnaryServerInterceptor(pick Pick) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
		breaker := pick(info.FullMethod)
		if breaker == nil {
			return handle(ctx, request)
		}
		guard, err := breaker.Acquire(ctx)
		if err != nil {
			return nil, err
		}
		defer guard.Failure("panic")
		reply, err := handle(ctx, request)
		guard.End(judge(ctx, err))
		return reply, err
	}
}

// StreamServerInterceptor guards the streaming methods of a server as [UnaryServerInterceptor] does the
// others. The whole stream is one call: leave out by pick what lives longer than call_timeout.
func StreamServerInterceptor(pick Pick) grpc.StreamServerInterceptor {
	return func(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
		breaker := pick(info.FullMethod)
		if breaker == nil {
			return handle(server, stream)
		}
		guard, err := breaker.Acquire(stream.Context())
		if err != nil {
			return err
		}
		defer guard.Failure("panic")
		err = handle(server, stream)
		guard.End(judge(stream.Context(), err))
		return err
	}
}

// judge ignores calls whose client has gone.
func judge(ctx context.Context, err error) breakerd.Verdict {
	if err != nil && ctx.Err() == context.Canceled {
		return breakerd.Verdict{Outcome: breakerd.Ignored}
	}
	return Classify(err)
}
