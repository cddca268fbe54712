package breakerd

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"breakerd.dev/client/go/breakerpb"
)

const (
	// maxReportRuns and maxReportBreakers bound one report.
	maxReportRuns     = 10_000
	maxReportBreakers = 1_000
)

// A batch is what goes to the server as one report. What of it is history is settled once, when it
// is made, and stays when it is repeated.
type batch struct {
	runs   []*run
	madeAt int64
}

// A group is a BreakerReport.
type group struct {
	breaker    string
	generation uint64
	late       bool
}

func (r *run) group(madeAt int64) group {
	return group{r.tally.breaker, r.tally.generation, r.isLate(madeAt)}
}

// batches cuts runs, in their order, into what fits into a report each.
func batches(runs []*run, now int64) []batch {
	var cut []batch
	for len(runs) > 0 {
		groups := make(map[group]struct{})
		size := 0
		for size < len(runs) && size < maxReportRuns {
			key := runs[size].group(now)
			if _, known := groups[key]; !known && len(groups) == maxReportBreakers {
				break
			}
			groups[key] = struct{}{}
			size++
		}
		cut = append(cut, batch{runs[:size:size], now})
		runs = runs[size:]
	}
	return cut
}

// halve cuts a batch that was refused. The halves are as old as it is.
func (b batch) halve() (first, second batch) {
	middle := len(b.runs) / 2
	return batch{b.runs[:middle:middle], b.madeAt}, batch{b.runs[middle:], b.madeAt}
}

// message is the batch with the ages of now. Within a breaker and generation the order stays.
func (b batch) message(reporter string, sequence uint64, now int64) *breakerpb.ReportRequest {
	request := &breakerpb.ReportRequest{ReporterId: reporter, Sequence: sequence}
	places := make(map[group]*breakerpb.BreakerReport)
	for _, r := range b.runs {
		key := r.group(b.madeAt)
		report := places[key]
		if report == nil {
			report = &breakerpb.BreakerReport{Breaker: key.breaker, Generation: key.generation, Late: key.late}
			places[key] = report
			request.Reports = append(request.Reports, report)
		}
		report.Runs = append(report.Runs, r.message(now))
	}
	return request
}

func (r *run) message(now int64) *breakerpb.Run {
	age := min(max(time.Duration(now-r.ended), 0), maxAge)
	return &breakerpb.Run{
		Outcome:       breakerpb.Outcome(r.outcome),
		Count:         r.count,
		TotalDuration: durationpb.New(r.total),
		MaxDuration:   durationpb.New(r.longest),
		SlowCount:     r.slow,
		ErrorKind:     r.kind,
		Age:           durationpb.New(age),
		PermitId:      r.permit,
	}
}
