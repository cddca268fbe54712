package breakerd

import (
	"testing"
	"time"
)

func TestARunIsASecondAtMost(t *testing.T) {
	o, of := newOutcomes(), &tally{breaker: "a/b", generation: 1}
	at := func(ms int) int64 { return int64(time.Hour) + int64(time.Duration(ms)*time.Millisecond) }
	for _, ms := range []int{0, 600, 1000, 1001, 2001, 2002, 9000} {
		o.push(outcomeRun(of, Failure, "", at(ms)), true)
	}
	if got := told(o.waiting); got != "a/b@1 failure x3, a/b@1 failure x2, a/b@1 failure x1, a/b@1 failure x1" {
		t.Error(got)
	}
	if first := o.waiting[0]; first.ended != at(1000) || first.began() != at(0) {
		t.Error(first.ended, first.span)
	}
}

func TestASecondOfSuccessesIsARunThoughNobodyReports(t *testing.T) {
	o, of := newOutcomes(), &tally{breaker: "a/b", generation: 1}
	began := int64(time.Hour)
	// One in 10 ms, for 20 s, and one long after them.
	for i := int64(0); i < 2_000; i++ {
		o.success(of, 1000, began+i*int64(10*time.Millisecond))
	}
	after := began + int64(time.Minute)
	o.success(of, 1000, after)
	runs := o.take(after)
	if calls := countCalls(runs); calls != 2_001 || len(runs) != 21 {
		t.Fatal(calls, len(runs))
	}
	for i, r := range runs[:20] {
		if r.span > maxRunSpan || r.ended-began > int64(i+1)*int64(1010*time.Millisecond) {
			t.Error(i, r.span, time.Duration(r.ended-began))
		}
	}
	if last := runs[20]; last.count != 1 || last.ended != after || last.span != 0 {
		t.Errorf("%+v", last)
	}
}

func TestSuccessesOfTwoGatheringsAreARunOfASecondAtMost(t *testing.T) {
	o, of := newOutcomes(), &tally{breaker: "a/b", generation: 1}
	other := &tally{breaker: "a/b", generation: 1}
	at := func(ms int) int64 { return int64(time.Hour) + int64(time.Duration(ms)*time.Millisecond) }
	for _, ms := range []int{0, 700, 800, 1400} {
		o.success(of, 1000, at(ms))
		o.success(other, 1000, at(ms))
		if ms == 700 {
			// Half full, say.
			o.enroll(of, tallyGather, at(ms))
		}
	}
	for _, r := range o.take(at(1400)) {
		if r.span > maxRunSpan || r.count == 4 {
			t.Error(r.count, r.span)
		}
	}
}

func TestWhatIsGatheredIsAsOldAsTheOldestOfItAndTakesNoMoreCalls(t *testing.T) {
	o, of := newOutcomes(), &tally{breaker: "a/b", generation: 1}
	now := int64(time.Hour)
	second := int64(time.Second)
	for _, ended := range []int64{now, now + second/2, now + 5*second, now + 20*second} {
		o.push(outcomeRun(of, Failure, "", ended), true)
	}
	o.waiting = squeeze(o.waiting, func(*run) bool { return true })
	if len(o.waiting) != 1 || o.waiting[0].count != 4 || o.waiting[0].ended != now || !o.waiting[0].isLate(now+20*second) {
		t.Fatalf("%+v", o.waiting[0])
	}
	o.push(outcomeRun(of, Failure, "", now+second/2), true)
	if got := told(o.waiting); got != "a/b@1 failure x4, a/b@1 failure x1" {
		t.Error(got)
	}
}
