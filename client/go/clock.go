package breakerd

import (
	"math"
	"math/rand"
	"time"
)

// The moments of this package are nanoseconds of the process's monotonic clock, counted from a moment
// shortly before the process was loaded, so that 0 can mean never.
var processBegan = time.Now().Add(-time.Second)

// never is a moment that does not come.
const never = math.MaxInt64

func monotonic() int64 { return int64(time.Since(processBegan)) }

// sooner is the first of two moments.
func sooner(a, b int64) int64 {
	if a < b {
		return a
	}
	return b
}

// chance is a number from 0 to 1, 1 excluded.
func chance() float64 { return rand.Float64() }
