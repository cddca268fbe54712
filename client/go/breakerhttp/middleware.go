package breakerhttp

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	breakerd "breakerd.dev/client/go"
)

// Middleware guards a handler: while its breaker denies calls, requests are answered as [WriteDenied]
// does, and never reach it. The status that it writes is judged by [Classify], and one that panics is
// a FAILURE. A client that goes away makes a request IGNORED.
func Middleware(pick Pick, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		breaker := pick(request)
		if breaker == nil {
			next.ServeHTTP(w, request)
			return
		}
		guard, err := breaker.Acquire(request.Context())
		if err != nil {
			if !WriteDenied(w, err) {
				// The client has gone while a permit was waited for.
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			return
		}
		defer guard.Failure("panic")
		recorder := &recorder{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(recorder, request)
		if request.Context().Err() != nil {
			guard.Ignored()
			return
		}
		guard.End(Classify(recorder.status))
	})
}

// WriteDenied answers with 503 and Retry-After if the error is, or wraps, a [*breakerd.DeniedError]; if
// it does not, it writes nothing and says false. The answer is meant for handlers whose own calls were
// denied, too.
func WriteDenied(w http.ResponseWriter, err error) bool {
	var denied *breakerd.DeniedError
	if !errors.As(err, &denied) {
		return false
	}
	// In whole seconds, and rounded up: who comes too early comes twice.
	seconds := max(int64((denied.RetryAfter+time.Second-1)/time.Second), 1)
	w.Header().Set("Retry-After", strconv.FormatInt(seconds, 10))
	http.Error(w, "unavailable: "+string(denied.Reason), http.StatusServiceUnavailable)
	return true
}

// A recorder remembers the status.
type recorder struct {
	http.ResponseWriter
	status  int
	written bool
}

func (r *recorder) WriteHeader(status int) {
	// What comes before the header proper (100 Continue, 103 Early Hints) is not the answer.
	if !r.written && (status >= 200 || status == http.StatusSwitchingProtocols) {
		r.status, r.written = status, true
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(data []byte) (int, error) {
	r.written = true
	return r.ResponseWriter.Write(data)
}

// Unwrap lets [http.ResponseController] find what the writer can do.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// Flush is for handlers that look for a [http.Flusher].
func (r *recorder) Flush() {
	r.written = true
	// A writer that cannot flush has nothing to be flushed.
	_ = http.NewResponseController(r.ResponseWriter).Flush()
}
