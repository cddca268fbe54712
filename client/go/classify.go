package breakerd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// maxKindBytes is how long a kind may be.
	maxKindBytes = 128
	// kindPanic is the kind of a call that panicked.
	kindPanic = "panic"
)

// A Verdict is what became of a call, as its caller judges it.
type Verdict struct {
	Outcome Outcome
	// Kind is the kind of the error: a word such as `http.503`. Empty for none. Control characters
	// are taken out, and it is cut at 128 bytes.
	Kind string
}

// Classify is what errors mean unless the application says otherwise: none is a SUCCESS, a context
// that was cancelled is IGNORED, and so is a call that another breaker denied; a deadline that was
// exceeded is a TIMEOUT, whoever set it, and every other error is a FAILURE, of the kind that [KindOf]
// says.
func Classify(err error) Verdict {
	if err == nil {
		return Verdict{Outcome: Success}
	}
	return classify(err)
}

// classify is apart, so that a success costs no memory.
func classify(err error) Verdict {
	var denied *DeniedError
	code, isGRPC := grpcCode(err)
	switch {
	case errors.Is(err, context.Canceled), errors.As(err, &denied), isGRPC && code == codes.Canceled:
		return Verdict{Outcome: Ignored}
	case errors.Is(err, context.DeadlineExceeded), isGRPC && code == codes.DeadlineExceeded:
		return Verdict{Outcome: Timeout}
	}
	return Verdict{Outcome: Failure, Kind: KindOf(err)}
}

// KindOf is the kind of an error: `grpc.UNAVAILABLE` for one of gRPC, and else the name of its type,
// `net.OpError`; what only wraps another error is looked through.
func KindOf(err error) string {
	if err == nil {
		return ""
	}
	if code, ok := grpcCode(err); ok {
		return GRPCKind(code)
	}
	for {
		name := strings.TrimPrefix(fmt.Sprintf("%T", err), "*")
		wrapped := errors.Unwrap(err)
		if name != "fmt.wrapError" || wrapped == nil {
			return name
		}
		err = wrapped
	}
}

// grpcCode is the code of an error of gRPC, however it is wrapped.
func grpcCode(err error) (codes.Code, bool) {
	var of interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &of) {
		return codes.OK, false
	}
	return of.GRPCStatus().Code(), true
}

var grpcNames = [...]string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
	"PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
	"UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
}

// GRPCKind is the kind of an error with this code: `grpc.UNAVAILABLE`.
func GRPCKind(code codes.Code) string {
	if int(code) < len(grpcNames) {
		return "grpc." + grpcNames[code]
	}
	return fmt.Sprintf("grpc.%d", code)
}

// tameKind makes of a text what the protocol takes for a kind.
func tameKind(kind string) string {
	isTame := len(kind) <= maxKindBytes && utf8.ValidString(kind)
	if isTame && strings.IndexFunc(kind, unicode.IsControl) < 0 {
		return kind
	}
	kind = strings.ToValidUTF8(kind, "\uFFFD")
	kind = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, kind)
	if len(kind) <= maxKindBytes {
		return kind
	}
	end := maxKindBytes
	for !utf8.RuneStart(kind[end]) {
		end--
	}
	return kind[:end]
}
