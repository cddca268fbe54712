package breakerd

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"math/rand"
	"os"
	"time"

	"breakerd.dev/client/go/breakerpb"
)

// settings are what a client is built with.
type settings struct {
	addresses                 []string
	clientID                  string
	selectors                 []string
	onUnavailable             OnUnavailable
	token                     string
	tls                       *tls.Config
	localGuard                bool
	localConfig               *breakerpb.BreakerConfig
	classify                  func(error) Verdict
	logger                    *slog.Logger
	staleAfter, maxStaleness  time.Duration
	permitTimeout             time.Duration
	requestTimeout            time.Duration
	reportInterval            time.Duration
	backoffLeast, backoffMost time.Duration
}

func defaults(addresses []string) settings {
	return settings{
		addresses:      addresses,
		clientID:       fmt.Sprintf("go-%d-%08x", os.Getpid(), rand.Uint32()),
		onUnavailable:  Local,
		classify:       Classify,
		logger:         slog.Default(),
		staleAfter:     15 * time.Second,
		maxStaleness:   60 * time.Second,
		permitTimeout:  250 * time.Millisecond,
		requestTimeout: time.Second,
		reportInterval: time.Second,
		backoffLeast:   100 * time.Millisecond,
		backoffMost:    5 * time.Second,
	}
}

// An Option changes how a client is built. Times must be above 0.
type Option func(*settings)

// WithClientID names this process in the server's logs and metrics; at most 183 bytes.
// By default `go-PID-` and eight random hex digits.
func WithClientID(id string) Option { return func(s *settings) { s.clientID = id } }

// WithSelectors watches breakers from the start that the application has not asked for: names, and
// globs in which `*` stays within a part of a name and `**` does not. By default none.
func WithSelectors(selectors ...string) Option { return func(s *settings) { s.selectors = selectors } }

// WithOnUnavailable says what to do in FALLBACK with breakers of which the server has not said so.
// By default [Local].
func WithOnUnavailable(what OnUnavailable) Option {
	return func(s *settings) { s.onUnavailable = what }
}

// WithToken sends `authorization: Bearer token` with every request.
func WithToken(token string) Option { return func(s *settings) { s.token = token } }

// WithTLS connects by TLS. The configuration holds the CA (RootCAs), the client certificate
// (Certificates) and the server name (ServerName), as far as they are not the usual ones. By default
// connections are in plain text.
func WithTLS(config *tls.Config) Option { return func(s *settings) { s.tls = config } }

// WithLocalGuard adds a breaker of this process beside the fleet's, fed by the outcomes of this
// client alone; a call needs the leave of both, and is denied with [ReasonLocalOpen] otherwise. It keeps
// to the configuration, or to that of the fleet's breaker if that is nil.
func WithLocalGuard(config *breakerpb.BreakerConfig) Option {
	return func(s *settings) { s.localGuard, s.localConfig = true, config }
}

// WithClassify says what the error of a call means, where the call itself does not say so. By
// default [Classify], which a function of the application can hand over to.
func WithClassify(classify func(err error) Verdict) Option {
	return func(s *settings) { s.classify = classify }
}

// WithLogger says where to log: at Info and Warn how the client's state changes and what was given
// up, at Error listeners that panicked. By default [slog.Default].
func WithLogger(logger *slog.Logger) Option { return func(s *settings) { s.logger = logger } }

// WithStaleAfter is how long the stream may be silent before it is cut and the client is STALE. By
// default 15 s; the server speaks every 5 s.
func WithStaleAfter(d time.Duration) Option { return func(s *settings) { s.staleAfter = d } }

// WithMaxStaleness is how long the client stays STALE before it is FALLBACK. By default 60 s.
func WithMaxStaleness(d time.Duration) Option { return func(s *settings) { s.maxStaleness = d } }

// WithPermitTimeout is how long a call waits for the permit of a probe. By default 250 ms.
func WithPermitTimeout(d time.Duration) Option { return func(s *settings) { s.permitTimeout = d } }

// WithRequestTimeout is how long a report waits for its answer before it is repeated. By default 1 s.
func WithRequestTimeout(d time.Duration) Option { return func(s *settings) { s.requestTimeout = d } }

// WithReportInterval is how long a success waits at most for others to be reported with. By default 1 s.
func WithReportInterval(d time.Duration) Option { return func(s *settings) { s.reportInterval = d } }

// WithBackoff bounds the wait between two attempts to reach a server. By default from 100 ms to 5 s.
func WithBackoff(least, most time.Duration) Option {
	return func(s *settings) { s.backoffLeast, s.backoffMost = least, most }
}

// maxClientIDBytes leaves room in a reporter id for `-` and 16 hex digits.
const maxClientIDBytes = 200 - 17

// maxSelectors is how many selectors a Watch takes.
const maxSelectors = 1_000

func (s *settings) check() error {
	if len(s.addresses) == 0 {
		return fmt.Errorf("breakerd: no address; name at least one, such as `127.0.0.1:7420`")
	}
	for i, text := range s.addresses {
		address, err := parseAddress(text)
		if err != nil {
			return err
		}
		s.addresses[i] = address
	}
	if len(s.clientID) > maxClientIDBytes {
		return fmt.Errorf("breakerd: the client id is %d bytes long; at most %d are allowed", len(s.clientID), maxClientIDBytes)
	}
	if len(s.selectors) > maxSelectors {
		return fmt.Errorf("breakerd: %d selectors; at most %d are allowed", len(s.selectors), maxSelectors)
	}
	for _, selector := range s.selectors {
		if err := checkSelector(selector); err != nil {
			return err
		}
	}
	if s.onUnavailable < Allow || s.onUnavailable > Local {
		return fmt.Errorf("breakerd: WithOnUnavailable takes Allow, Deny or Local")
	}
	if s.classify == nil || s.logger == nil {
		return fmt.Errorf("breakerd: WithClassify and WithLogger take no nil")
	}
	times := []time.Duration{s.staleAfter, s.maxStaleness, s.permitTimeout, s.requestTimeout, s.reportInterval, s.backoffLeast}
	for _, d := range times {
		if d <= 0 {
			return fmt.Errorf("breakerd: %v is no time to wait; times are above 0", d)
		}
	}
	if s.backoffMost < s.backoffLeast {
		return fmt.Errorf("breakerd: the backoff from %v to %v ends before it begins", s.backoffLeast, s.backoffMost)
	}
	return nil
}
