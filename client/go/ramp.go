package breakerd

import "sync/atomic"

// rampCredit lets a share of the calls through, without chance once it has begun: each call adds the
// percent, and at 100 one is let through. It begins with a credit by chance, so that many clients
// with few calls let the share through together.
type rampCredit struct{ credit atomic.Int32 }

func (r *rampCredit) begin(chance float64) { r.credit.Store(int32(chance * 100)) }

func (r *rampCredit) admits(percent int32) bool {
	for {
		old := r.credit.Load()
		credit := old + percent
		admitted := credit >= 100
		if admitted {
			credit -= 100
		}
		if r.credit.CompareAndSwap(old, credit) {
			return admitted
		}
	}
}
