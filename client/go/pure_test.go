package breakerd

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestANameIsTwoOrMorePartsOfLowerCaseCharacters(t *testing.T) {
	for _, good := range []string{"a/b", "payments/stripe-api", "a/b/c", "n.s_1/x-2", "a/" + strings.Repeat("b", 198)} {
		if err := checkName(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	bad := map[string]string{
		"": "empty", "stripe": "one part", "/a": "empty part", "a/": "empty part", "a//b": "empty part",
		"a/B": "'B'", "a/é": "'é'", "a/\n": `'\n'`, "a/" + strings.Repeat("b", 199): "201 bytes",
	}
	for name, rule := range bad {
		var of *NameError
		if err := checkName(name); !errors.As(err, &of) || !strings.Contains(of.Rule, rule) {
			t.Errorf("%q: %v, expected %q", name, err, rule)
		}
	}
	if checkSelector("a/**") != nil || checkSelector("**") != nil || checkSelector("A/*") == nil || checkSelector("a") == nil {
		t.Error("a selector is a name or a glob")
	}
}

func TestAStarStaysWithinAPartAndADoubleStarDoesNot(t *testing.T) {
	for _, c := range []struct {
		glob, name string
		matches    bool
	}{
		{"payments/*", "payments/stripe", true}, {"payments/*", "payments/stripe/eu", false},
		{"payments/**", "payments/stripe/eu", true}, {"**", "a/b/c", true}, {"*/stripe", "a/b/stripe", false},
		{"**/stripe", "a/b/stripe", true}, {"**/stripe", "a/b/stripe-eu", false}, {"a/**/z*", "a/b/c/zoo", true},
		{"a/**/z*", "a/b/c/zoo/x", false}, {"a/*b*c", "a/xbxbxc", true}, {"a/*b*c", "a/xbxb/c", false},
		{"a/b", "a/b", true}, {"a/b", "a/bc", false}, {"***", "a/b", true}, {"*", "a/b", false},
	} {
		if matchesName(c.glob, c.name) != c.matches {
			t.Errorf("%s against %s is not %v", c.glob, c.name, c.matches)
		}
	}
	for _, c := range []struct {
		glob, kind string
		matches    bool
	}{{"*", "", true}, {"http.5*", "http.503", true}, {"http.5*", "http.404", false}, {"*Error", "TimeoutErrors", false}, {"a*b*c", "abxbc", true}} {
		if matchesText(c.glob, c.kind) != c.matches {
			t.Errorf("%s against %s is not %v", c.glob, c.kind, c.matches)
		}
	}
}

func TestTheBackoffDoublesIsShortenedByAHalfAtMostAndBeginsAfresh(t *testing.T) {
	b := backoff{least: 100 * time.Millisecond, most: time.Second}
	var waits []time.Duration
	for range make([]int, 5) {
		waits = append(waits, b.wait(0))
	}
	ms := time.Millisecond
	if !slices.Equal(waits, []time.Duration{100 * ms, 200 * ms, 400 * ms, 800 * ms, 1000 * ms}) {
		t.Error(waits)
	}
	if wait := b.wait(0.999); wait < 500*ms || wait > 501*ms {
		t.Error(wait)
	}
	b.reset()
	if wait := b.wait(0); wait != 100*ms {
		t.Error(wait)
	}
}

func TestTheBucketPaysForFiveAtOnceAndFiveASecond(t *testing.T) {
	now := int64(time.Hour)
	b := newBucket(now)
	for i := 0; i < 5; i++ {
		if b.readyAt(now) != now || !b.take(now) {
			t.Fatalf("no token %d", i)
		}
	}
	if b.take(now) {
		t.Error("a sixth token")
	}
	at := b.readyAt(now)
	if wait := time.Duration(at - now); wait < 199*time.Millisecond || wait > 201*time.Millisecond {
		t.Error(wait)
	}
	if !b.take(at) || b.take(at) {
		t.Error("one token each fifth of a second")
	}
	now += int64(time.Hour)
	for i := 0; i < 5; i++ {
		if !b.take(now) {
			t.Errorf("an hour fills five, not %d", i)
		}
	}
	if b.take(now) {
		t.Error("an hour fills five, not more")
	}
}

func TestARampLetsExactlyItsShareThrough(t *testing.T) {
	for _, percent := range []int32{1, 5, 25, 50, 99} {
		var r rampCredit
		r.begin(0.42)
		admitted := 0
		for i := 0; i < 1000; i++ {
			if r.admits(percent) {
				admitted++
			}
		}
		if admitted < int(percent)*10 || admitted > int(percent)*10+1 {
			t.Errorf("%d of 1000 at %d percent", admitted, percent)
		}
	}
	// Many clients with one call each let the share through together.
	admitted := 0
	for i := 0; i < 100; i++ {
		var r rampCredit
		r.begin(float64(i) / 100)
		if r.admits(25) {
			admitted++
		}
	}
	if admitted != 25 {
		t.Errorf("%d of 100 clients", admitted)
	}
}

func TestOnlyAsManyAskAsThereArePermitsAndOneWhileNobodyAnswers(t *testing.T) {
	var g permitGate
	now := int64(time.Hour)
	if !g.enter(now, 2, 7) || !g.enter(now, 2, 7) || g.enter(now, 2, 7) {
		t.Fatal("two may ask")
	}
	g.leave(askedAnswered, now, 8)
	g.leave(askedNoPermit, now, 8)
	if g.enter(now+noPermitTime-1, 2, 8) || !g.enter(now+noPermitTime, 2, 8) {
		t.Error("no permit holds for 20 ms")
	}
	now += noPermitTime
	g.leave(askedUnanswered, now, 8)
	if !g.enter(now, 2, 8) || g.enter(now, 2, 8) {
		t.Error("in doubt one asks at a time")
	}
	if !g.enter(now, 2, 9) {
		t.Error("a message of the stream ends the doubt")
	}
	g.leave(askedUnanswered, now, 9)
	g.leave(askedGivenUp, now, 9)
	if !g.enter(now, 2, 9) || g.enter(now, 2, 9) {
		t.Error("who did not wait has learned nothing")
	}
	g.leave(askedAnswered, now, 9)
	if !g.enter(now, 2, 9) || !g.enter(now, 2, 9) {
		t.Error("an answer ends the doubt")
	}
}

type oddError struct{}

func (*oddError) Error() string { return "odd" }

func TestErrorsAreJudgedAndHaveKinds(t *testing.T) {
	denied := &DeniedError{Breaker: "a/b", Reason: ReasonOpen, RetryAfter: time.Second}
	for _, c := range []struct {
		err  error
		want Verdict
	}{
		{nil, Verdict{Success, ""}},
		{fmt.Errorf("so: %w", context.Canceled), Verdict{Ignored, ""}},
		{fmt.Errorf("so: %w", context.DeadlineExceeded), Verdict{Timeout, ""}},
		{fmt.Errorf("so: %w", fmt.Errorf("and: %w", &oddError{})), Verdict{Failure, "breakerd.oddError"}},
		{io.EOF, Verdict{Failure, "errors.errorString"}},
		{&net.OpError{Op: "dial", Err: io.EOF}, Verdict{Failure, "net.OpError"}},
		{status.Error(codes.Unavailable, "no"), Verdict{Failure, "grpc.UNAVAILABLE"}},
		{fmt.Errorf("so: %w", status.Error(codes.DeadlineExceeded, "late")), Verdict{Timeout, ""}},
		{status.Error(codes.Canceled, "gone"), Verdict{Ignored, ""}},
		{fmt.Errorf("so: %w", denied), Verdict{Ignored, ""}},
	} {
		if got := Classify(c.err); got != c.want {
			t.Errorf("%v: %v, expected %v", c.err, got, c.want)
		}
	}
	if of := status.Convert(denied); of.Code() != codes.Unavailable || len(of.Details()) != 1 {
		t.Error(of)
	}
}

func TestAKindIsTamed(t *testing.T) {
	for kind, want := range map[string]string{
		"http.503": "http.503", "bad\nluck\x00": "badluck", "": "",
		"a" + strings.Repeat("é", 100): "a" + strings.Repeat("é", 63), "\xff": "\uFFFD",
	} {
		if got := tameKind(kind); got != want || len(got) > maxKindBytes {
			t.Errorf("%q became %q", kind, got)
		}
	}
}

func TestOptionsThatMakeNoSenseAreRefused(t *testing.T) {
	here := []string{"127.0.0.1:7420"}
	for i, bad := range [][]Option{
		{WithClientID(strings.Repeat("x", 184))}, {WithSelectors("A/*")}, {WithOnUnavailable(0)},
		{WithStaleAfter(0)}, {WithBackoff(time.Second, time.Millisecond)}, {WithClassify(nil)}, {WithLogger(nil)},
	} {
		if _, err := New(here, bad...); err == nil {
			t.Errorf("option %d was taken", i)
		}
	}
	for _, address := range []string{"", "host", "host:", ":1", "h:0", "h:99999", "a b:1", "h:1/x"} {
		if _, err := New([]string{address}); err == nil {
			t.Errorf("address %q was taken", address)
		}
	}
	if _, err := New(nil); err == nil {
		t.Error("no address was taken")
	}
	if address, err := parseAddress("http://Host:1/"); err != nil || address != "host:1" {
		t.Error(address, err)
	}
}
