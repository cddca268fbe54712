package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	breakerd "breakerd.dev/client/go"
)

// A driver does what the commands say with one client at a time.
type driver struct {
	client *breakerd.Client
	guards map[string]*held

	mu          sync.Mutex
	transitions []answer
	states      []string
}

type held struct{ guard breakerd.Guard }

func (d *driver) do(c *command) (answer, error) {
	if c.Do == "build" {
		return answer{}, d.build(c)
	}
	if d.client == nil {
		return nil, errors.New("no client was built")
	}
	switch c.Do {
	case "ready":
		return d.within(c, "ready", d.client.Ready)
	case "breaker":
		_, err := d.client.Breaker(c.Breaker)
		return answer{}, err
	case "call":
		return d.call(c)
	case "acquire":
		return d.acquire(c)
	case "finish":
		return answer{}, d.finish(c, c.Guard)
	case "drop":
		c.Outcome = "ignored"
		return answer{}, d.finish(c, c.Guard)
	case "status":
		return d.status(c)
	case "events":
		return d.events(), nil
	case "flush":
		return d.within(c, "flushed", d.client.Flush)
	case "counts":
		return answer{"given_up": d.client.OutcomesGivenUp(), "waiting": d.client.OutcomesWaiting()}, nil
	case "shutdown":
		return answer{"flushed": d.client.Close() == nil}, nil
	}
	return nil, fmt.Errorf("unknown command %q", c.Do)
}

func (d *driver) end() {
	if d.client != nil {
		_ = d.client.Close()
	}
}

// within does what takes time, and answers whether there was enough of it.
func (d *driver) within(c *command, what string, do func(context.Context) error) (answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), millis(c.Timeout))
	defer cancel()
	err := do(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return answer{what: false}, nil
	}
	return answer{what: err == nil}, err
}

func (d *driver) call(c *command) (answer, error) {
	breaker, err := d.client.Breaker(c.Breaker)
	if err != nil {
		return nil, err
	}
	times := 1
	if c.Times != nil {
		times = *c.Times
	}
	allowed, denials := 0, 0
	var slowest time.Duration
	last := answer{}
	for i := 0; i < times; i++ {
		began := time.Now()
		guard, err := breaker.Acquire(context.Background())
		slowest = max(slowest, time.Since(began))
		if err != nil {
			denials++
			if last, err = denied(err); err != nil {
				return nil, err
			}
			continue
		}
		allowed++
		time.Sleep(millis(c.Duration))
		if err := end(&guard, c); err != nil {
			return nil, err
		}
	}
	last["allowed"], last["denied"], last["decided_in"] = allowed, denials, slowest.Microseconds()
	return last, nil
}

func (d *driver) acquire(c *command) (answer, error) {
	breaker, err := d.client.Breaker(c.Breaker)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	guard := new(held)
	guard.guard, err = breaker.Acquire(context.Background())
	decidedIn := time.Since(began).Microseconds()
	if err != nil {
		answer, err := denied(err)
		if err == nil {
			answer["allowed"], answer["decided_in"] = false, decidedIn
		}
		return answer, err
	}
	d.guards[c.As] = guard
	return answer{
		"allowed": true, "probe": guard.guard.IsProbe(), "generation": guard.guard.Generation(), "decided_in": decidedIn,
	}, nil
}

func (d *driver) finish(c *command, name string) error {
	held := d.guards[name]
	if held == nil {
		return fmt.Errorf("no guard %q", name)
	}
	delete(d.guards, name)
	return end(&held.guard, c)
}

func end(guard *breakerd.Guard, c *command) error {
	switch c.Outcome {
	case "", "success":
		guard.Success()
	case "failure":
		guard.Failure(c.Kind)
	case "timeout":
		guard.End(breakerd.Verdict{Outcome: breakerd.Timeout, Kind: c.Kind})
	case "ignored":
		guard.Ignored()
	default:
		return fmt.Errorf("unknown outcome %q", c.Outcome)
	}
	return nil
}

// denied is the answer for a call that was denied.
func denied(err error) (answer, error) {
	var denied *breakerd.DeniedError
	if !errors.As(err, &denied) {
		return nil, err
	}
	said := answer{"reason": denied.Reason, "retry_after": nil, "level": nil, "serve": nil}
	if denied.RetryAfter > 0 {
		said["retry_after"] = float64(denied.RetryAfter) / 1e6
	}
	if denied.Level != nil {
		said["level"], said["serve"] = denied.Level.Number, denied.Level.Serve
	}
	return said, nil
}

func (d *driver) status(c *command) (answer, error) {
	breaker, err := d.client.Breaker(c.Breaker)
	if err != nil {
		return nil, err
	}
	status := breaker.Status()
	said := answer{
		"client": status.Client.String(), "state": status.State.String(), "mode": status.Mode.String(),
		"generation": status.Generation, "revision": status.Revision, "level": nil,
	}
	if status.Level != nil {
		said["level"] = status.Level.Number
	}
	if status.RetryAfter > 0 {
		said["retry_after"] = float64(status.RetryAfter) / 1e6
	}
	return said, nil
}

func (d *driver) listen() {
	d.client.OnTransition(func(t breakerd.Transition) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.transitions = append(d.transitions, answer{
			"breaker": t.Breaker, "from": t.From.State.String(), "to": t.To.State.String(),
			"from_mode": t.From.Mode.String(), "to_mode": t.To.Mode.String(),
		})
	})
	d.client.OnState(func(state breakerd.ClientState) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.states = append(d.states, state.String())
	})
}

func (d *driver) events() answer {
	d.mu.Lock()
	defer d.mu.Unlock()
	said := answer{"transitions": append([]answer{}, d.transitions...), "states": append([]string{}, d.states...)}
	d.transitions, d.states = nil, nil
	return said
}

func millis(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }
