// Package breakerhttp guards HTTP with breakers of breakerd: the requests of clients by a
// [http.RoundTripper], and the handlers of servers by a middleware.
package breakerhttp

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	breakerd "breakerd.dev/client/go"
)

// Pick says which breaker guards a request; nil for none.
type Pick func(*http.Request) *breakerd.Breaker

// Fixed picks the same breaker for every request.
func Fixed(breaker *breakerd.Breaker) Pick {
	return func(*http.Request) *breakerd.Breaker { return breaker }
}

// Classify says what a status means: from 500 on, and 429, it is a FAILURE of the kind `http.503`. All
// others are answers of a dependency that works.
func Classify(status int) breakerd.Verdict {
	if status >= 500 || status == http.StatusTooManyRequests {
		return breakerd.Verdict{Outcome: breakerd.Failure, Kind: "http." + strconv.Itoa(status)}
	}
	return breakerd.Verdict{Outcome: breakerd.Success}
}

// A Transport is a [http.RoundTripper] that asks a breaker first. A request that is denied fails with a
// [*breakerd.DeniedError], which [http.Client] wraps. A request ends with the header of its answer,
// which has to come within the breaker's call_timeout; the body may take longer, and is not judged.
type Transport struct {
	// Pick says which breaker guards a request.
	Pick Pick
	// Base makes the requests; [http.DefaultTransport] if it is nil.
	Base http.RoundTripper
	// Judge says what an answer means; [Classify] of its status if it is nil. Errors are judged by
	// [breakerd.Classify].
	Judge func(*http.Response) breakerd.Verdict
}

// RoundTrip makes a request if its breaker allows it.
func (t *Transport) RoundTrip(request *http.Request) (*http.Response, error) {
	base := t.Base
	if base == nil {
		base = http.DefaultTransport
	}
	breaker := t.Pick(request)
	if breaker == nil {
		return base.RoundTrip(request)
	}
	caller := request.Context()
	guard, err := breaker.Acquire(caller)
	if err != nil {
		if request.Body != nil {
			_ = request.Body.Close()
		}
		return nil, err
	}
	// Whoever comes here with the guard in hand panics.
	defer guard.Failure("panic")

	// The timeout ends with the header, the context with the body.
	ctx, cancel := context.WithCancel(caller)
	timer := time.AfterFunc(guard.CallTimeout(), cancel)
	response, err := base.RoundTrip(request.WithContext(ctx))
	isTimeout := !timer.Stop()
	if err != nil {
		cancel()
		guard.End(judgeError(caller, err, isTimeout))
		if isTimeout && caller.Err() == nil {
			err = context.DeadlineExceeded
		}
		return nil, err
	}
	guard.End(t.judge(response))
	response.Body = withCancel(response.Body, cancel)
	return response, nil
}

func (t *Transport) judge(response *http.Response) breakerd.Verdict {
	if t.Judge != nil {
		return t.Judge(response)
	}
	return Classify(response.StatusCode)
}

func judgeError(caller context.Context, err error, isTimeout bool) breakerd.Verdict {
	switch {
	case errors.Is(caller.Err(), context.Canceled):
		return breakerd.Verdict{Outcome: breakerd.Ignored}
	case isTimeout:
		return breakerd.Verdict{Outcome: breakerd.Timeout}
	}
	return breakerd.Classify(err)
}

// A body ends the context of its request when it is closed or has been read.
type body struct {
	io.ReadCloser
	once   sync.Once
	cancel context.CancelFunc
}

// A writableBody is that of a switched protocol.
type writableBody struct {
	*body
	io.Writer
}

func withCancel(inner io.ReadCloser, cancel context.CancelFunc) io.ReadCloser {
	outer := &body{ReadCloser: inner, cancel: cancel}
	if writer, ok := inner.(io.Writer); ok {
		return writableBody{outer, writer}
	}
	return outer
}

func (b *body) Read(into []byte) (int, error) {
	read, err := b.ReadCloser.Read(into)
	if err != nil {
		b.once.Do(b.cancel)
	}
	return read, err
}

func (b *body) Close() error {
	defer b.once.Do(b.cancel)
	return b.ReadCloser.Close()
}
