package breakerd

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

func outcomeRun(t *tally, outcome Outcome, kind string, ended int64) *run {
	return &run{tally: t, outcome: outcome, kind: kind, count: 1, total: time.Millisecond, longest: time.Millisecond, ended: ended}
}

// told is a short text for runs: `a/b@1 success x3`.
func told(runs []*run) string {
	var lines []string
	for _, r := range runs {
		line := fmt.Sprintf("%s@%d %s", r.tally.breaker, r.tally.generation, r.outcome)
		if r.kind != "" {
			line += " " + r.kind
		}
		if r.permit != 0 {
			line += fmt.Sprintf(" permit %d", r.permit)
		}
		if r.slow > 0 {
			line += fmt.Sprintf(" slow %d", r.slow)
		}
		lines = append(lines, fmt.Sprintf("%s x%d", line, r.count))
	}
	return strings.Join(lines, ", ")
}

func TestCallsThatAreAlikeAreOneRunAndOrderStays(t *testing.T) {
	o := newOutcomes()
	a, b := &tally{breaker: "a/a", generation: 1}, &tally{breaker: "a/b", generation: 2}
	success := func(of *tally) { o.success(of, 1000, 1) }
	failure := func(of *tally, kind string) { o.push(outcomeRun(of, Failure, kind, 1), true) }
	success(a)
	success(a)
	success(b)
	failure(a, "x")
	failure(a, "x")
	failure(a, "y")
	success(a)
	slow := outcomeRun(a, Success, "", 1)
	slow.slow = 1
	o.push(slow, false)
	probe := outcomeRun(a, Success, "", 1)
	probe.permit = 7
	o.push(probe, true)
	success(a)
	success(b)
	want := "a/a@1 success x2, a/a@1 failure x x2, a/a@1 failure y x1, a/a@1 success x1, a/a@1 success slow 1 x1, " +
		"a/a@1 success permit 7 x1, a/a@1 success x1, a/b@2 success x2"
	if waiting, _ := o.count(); waiting != 11 {
		t.Error(waiting)
	}
	taken := o.take(1)
	if got := told(taken); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if _, inFlight := o.count(); inFlight != 11 {
		t.Error(inFlight)
	}
	o.settle(taken, true)
	if waiting, inFlight := o.count(); waiting+inFlight != 0 || o.givenUp.Load() != 11 {
		t.Error(waiting, inFlight, o.givenUp.Load())
	}
	if first, prompt := o.since(); first != never || prompt != never {
		t.Error("nothing waits")
	}
}

func TestATallyCountsWhatManyAdd(t *testing.T) {
	o := newOutcomes()
	of := &tally{breaker: "a/b", generation: 1}
	const workers, each = 4, 20_000
	var calls uint64
	var total time.Duration
	stop, done := make(chan struct{}), make(chan struct{})
	gather := func() {
		runs := o.take(1)
		for _, r := range runs {
			if r.longest > r.total || r.longest*time.Duration(r.count) < r.total {
				t.Errorf("%d calls took %v, the longest %v", r.count, r.total, r.longest)
			}
			calls += uint64(r.count)
			total += r.total
		}
		o.settle(runs, false)
	}
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				gather()
			}
		}
	}()
	var workersDone sync.WaitGroup
	for w := 0; w < workers; w++ {
		workersDone.Add(1)
		go func() {
			defer workersDone.Done()
			for i := 0; i < each; i++ {
				o.success(of, int64(i%1000), 1)
			}
		}()
	}
	workersDone.Wait()
	close(stop)
	<-done
	gather()
	if calls != workers*each || total != workers*each/1000*499_500 {
		t.Error(calls, total)
	}
}

func TestATallyThatIsHalfFullIsGathered(t *testing.T) {
	o := newOutcomes()
	of := &tally{breaker: "a/b"}
	for i := 0; i < 3*tallyFullCount; i++ {
		o.success(of, quickCall-1, 1)
	}
	var calls uint64
	var total time.Duration
	for _, r := range o.take(1) {
		if r.count > maxRunCalls {
			t.Error(r.count)
		}
		calls += uint64(r.count)
		total += r.total
	}
	if calls != 3*tallyFullCount || total != 3*tallyFullCount*(quickCall-1) {
		t.Error(calls, total)
	}
}

func TestAFullQueueGathersHistoryThenEverythingThenGivesUpTheOldest(t *testing.T) {
	o := newOutcomes()
	of := &tally{breaker: "a/b", generation: 1}
	old, now := int64(time.Hour), int64(time.Hour)+int64(20*time.Second)
	for i := 0; i < 5000; i++ {
		o.push(outcomeRun(of, Failure, []string{"x", "y"}[i%2], old), true)
	}
	for i := 0; i < 5001; i++ {
		o.push(outcomeRun(of, Failure, []string{"x", "z"}[i%2], now), true)
	}
	if len(o.waiting) != 5003 || o.givenUp.Load() != 0 {
		t.Fatalf("%d runs wait", len(o.waiting))
	}
	for i := 0; i < 5000; i++ {
		o.push(outcomeRun(of, Failure, []string{"x", "z"}[i%2], now), true)
	}
	if len(o.waiting) > 10 || o.givenUp.Load() != 0 {
		t.Fatalf("%d runs wait", len(o.waiting))
	}
	if calls := countCalls(o.waiting); calls != 15_001 {
		t.Error(calls)
	}
	for i := 0; i < 12_000; i++ {
		o.push(outcomeRun(of, Failure, fmt.Sprint(i), now), true)
	}
	if len(o.waiting) != maxWaiting {
		t.Errorf("%d runs wait", len(o.waiting))
	}
	if calls := countCalls(o.waiting) + o.givenUp.Load(); calls != 27_001 {
		t.Errorf("%d calls wait or were given up", calls)
	}
	if last := o.waiting[len(o.waiting)-1]; last.kind != "11999" {
		t.Error("the latest was given up")
	}
}

func TestPermitsAreNeverGathered(t *testing.T) {
	of := &tally{breaker: "a/b"}
	runs := []*run{outcomeRun(of, Ignored, "", 1), outcomeRun(of, Ignored, "", 1), outcomeRun(of, Ignored, "", 1)}
	runs[1].permit = 3
	rest := squeeze(runs, func(*run) bool { return true })
	if got := told(rest); got != "a/b@0 ignored permit 3 x1, a/b@0 ignored x2" {
		t.Error(got)
	}
}

func TestTheFirstOutcomeOfABreakerThatDoesNotExistIsPrompt(t *testing.T) {
	o := newOutcomes()
	of := &tally{breaker: "a/b"}
	isPromptNow := func() bool {
		o.announce(outcomeRun(of, Success, "", 1))
		_, prompt := o.since()
		o.settle(o.take(1), false)
		return prompt != never
	}
	if !isPromptNow() || isPromptNow() {
		t.Error("the first one, and no other")
	}
	if o.forget(of); !isPromptNow() {
		t.Error("the breaker was deleted meanwhile")
	}
}

func TestAReportIsBoundedKeepsItsOrderAndWhatIsLateStaysLate(t *testing.T) {
	now := int64(time.Hour)
	a, b := &tally{breaker: "a/a", generation: 1}, &tally{breaker: "a/b", generation: 2}
	old, young := now-int64(lateAfter)-1, now-int64(lateAfter)+1
	runs := []*run{outcomeRun(a, Failure, "x", old), outcomeRun(b, Success, "", young), outcomeRun(a, Failure, "y", young), outcomeRun(a, Success, "", now)}
	cut := batches(runs, now)
	if len(cut) != 1 {
		t.Fatal(len(cut))
	}
	again := now + int64(time.Hour)
	for _, at := range []int64{now, again} {
		message := cut[0].message("me", 3, at)
		var lines []string
		for _, report := range message.Reports {
			line := fmt.Sprintf("%s@%d late %v:", report.Breaker, report.Generation, report.Late)
			for _, r := range report.Runs {
				line += " " + r.Outcome.String()[8:] + r.ErrorKind
			}
			lines = append(lines, line)
		}
		if got := strings.Join(lines, "; "); got != "a/a@1 late true: FAILUREx; a/b@2 late false: SUCCESS; a/a@1 late false: FAILUREy SUCCESS" {
			t.Error(got)
		}
		if age := message.Reports[2].Runs[1].Age.AsDuration(); age != time.Duration(at-now) {
			t.Error(age)
		}
	}
	first, second := cut[0].halve()
	if told(first.runs) != told(runs[:2]) || told(second.runs) != told(runs[2:]) || first.madeAt != now {
		t.Error("halves")
	}

	runs = nil
	for i := 0; i < 25_000; i++ {
		runs = append(runs, outcomeRun(a, Failure, fmt.Sprint(i), now))
	}
	for i := 0; i < 1_500; i++ {
		runs = append(runs, outcomeRun(&tally{breaker: fmt.Sprintf("b/%d", i)}, Success, "", now))
	}
	total := 0
	for _, b := range batches(runs, now) {
		total += len(b.runs)
		if message := b.message("me", 1, now); len(b.runs) > maxReportRuns || len(message.Reports) > maxReportBreakers {
			t.Error(len(b.runs), len(message.Reports))
		}
	}
	if total != len(runs) {
		t.Error(total)
	}
}
