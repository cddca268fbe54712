package breakerd

import (
	"context"
	"errors"
)

// Do makes a call if the breaker allows it. It fails with a [*DeniedError] if not, and else with the
// error of the call. The context of the call ends with the breaker's call_timeout at the latest.
//
// The error is judged by [WithClassify]. If the caller's context was cancelled the call is IGNORED,
// whatever its error is. A call that panics is a FAILURE, and the panic goes on.
func (b *Breaker) Do(ctx context.Context, call func(context.Context) error) error {
	guard, err := b.Acquire(ctx)
	if err != nil {
		return err
	}
	callContext, cancel := guard.context(ctx)
	defer cancel()
	// Whoever comes here with the guard in hand panics, or ends the goroutine.
	defer guard.Failure(kindPanic)
	err = call(callContext)
	guard.End(b.judge(ctx, err))
	return err
}

// judge is what the error of a call means that was made on behalf of this context.
func (b *Breaker) judge(ctx context.Context, err error) Verdict {
	if err != nil && errors.Is(ctx.Err(), context.Canceled) {
		return Verdict{Outcome: Ignored}
	}
	return b.client.settings.classify(err)
}

// A CallOption changes what [Call] does.
type CallOption[T any] func(*callOptions[T])

type callOptions[T any] struct {
	fallback func(context.Context, error) (T, error)
	serve    map[string]func(context.Context, *DeniedError) (T, error)
	judge    func(T, error) Verdict
}

// Fallback gives what to answer when the call was denied or counted as a failure; its error says
// which, see [DeniedError]. It is not asked for calls that are IGNORED: whoever cancelled one waits for
// nothing. The context is the caller's.
func Fallback[T any](fallback func(ctx context.Context, err error) (T, error)) CallOption[T] {
	return func(o *callOptions[T]) { o.fallback = fallback }
}

// Serve gives what to answer while a breaker with levels denies calls and stands on a level that
// serves this word, such as degraded, or that has this name. It goes before [Fallback].
func Serve[T any](word string, serve func(ctx context.Context, denied *DeniedError) (T, error)) CallOption[T] {
	return func(o *callOptions[T]) {
		if o.serve == nil {
			o.serve = make(map[string]func(context.Context, *DeniedError) (T, error))
		}
		o.serve[word] = serve
	}
}

// JudgedBy says what the result of the call means, in place of [WithClassify]: for an answer that is
// a failure though it is no error, or the other way round.
func JudgedBy[T any](judge func(value T, err error) Verdict) CallOption[T] {
	return func(o *callOptions[T]) { o.judge = judge }
}

// Call makes a call that has a value, as [Breaker.Do] makes one that has none.
func Call[T any](ctx context.Context, b *Breaker, call func(context.Context) (T, error), options ...CallOption[T]) (T, error) {
	var o callOptions[T]
	for _, option := range options {
		option(&o)
	}
	guard, err := b.Acquire(ctx)
	if err != nil {
		var none T
		return o.instead(ctx, none, err)
	}
	value, verdict, err := guarded(ctx, b, &guard, call, o.judge)
	if o.fallback != nil && (verdict.Outcome == Failure || verdict.Outcome == Timeout) {
		return o.fallback(ctx, err)
	}
	return value, err
}

// guarded makes the call that the guard stands for.
func guarded[T any](
	ctx context.Context, b *Breaker, guard *Guard, call func(context.Context) (T, error), judge func(T, error) Verdict,
) (T, Verdict, error) {
	callContext, cancel := guard.context(ctx)
	defer cancel()
	defer guard.Failure(kindPanic)
	value, err := call(callContext)
	var verdict Verdict
	if judge == nil || err != nil && errors.Is(ctx.Err(), context.Canceled) {
		verdict = b.judge(ctx, err)
	} else {
		verdict = judge(value, err)
	}
	guard.End(verdict)
	return value, verdict, err
}

// instead is what is answered in place of a call that was denied.
func (o *callOptions[T]) instead(ctx context.Context, none T, err error) (T, error) {
	var denied *DeniedError
	if !errors.As(err, &denied) {
		return none, err
	}
	if denied.Level != nil {
		for _, word := range []string{denied.Level.Serve, denied.Level.Name} {
			if serve := o.serve[word]; serve != nil {
				return serve(ctx, denied)
			}
		}
	}
	if o.fallback != nil {
		return o.fallback(ctx, err)
	}
	return none, err
}
