package breakerd

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"breakerd.dev/client/go/breakerpb"
)

// The defaults of the protocol, for what nobody has said.
const (
	defaultFailureThreshold = 5
	defaultFailureDecay     = 1
	defaultOpenDuration     = 60 * time.Second
	defaultSuccessThreshold = 3
	defaultCallTimeout      = 10 * time.Second
	defaultWindowCalls      = 100
)

// localConfig is what a breaker of this process keeps to. Left out is what only a fleet has
// (min_reporters, max_reporter_share), and the ramp; adaptive breakers and those with levels keep to
// the values that were last in force.
type localConfig struct {
	failureThreshold, failureDecay, consecutiveFailures uint32
	failureRate, slowCallRate                           localRate
	slowCall                                            time.Duration
	windowCalls                                         int
	windowDuration                                      time.Duration
	openDuration                                        time.Duration
	multiplier, jitter                                  float64
	maxOpenDuration                                     time.Duration
	successThreshold, maxProbes                         int
	probeCalls, probeFailurePercent                     uint32
	callTimeout                                         time.Duration
	expiredIsIgnored                                    bool
	failureErrors, ignoredErrors                        []string
}

// localRate is a share that trips, off at 0 percent.
type localRate struct{ percent, minimum uint32 }

func (r localRate) isMet(calls, bad uint32) bool {
	return r.percent > 0 && calls >= r.minimum && uint64(bad)*100 >= uint64(r.percent)*uint64(calls)
}

// newLocalConfig reads a configuration, with what is in force of it; both may be nil.
func newLocalConfig(config *breakerpb.BreakerConfig, effective *breakerpb.EffectiveValues) *localConfig {
	if config == nil {
		config = &breakerpb.BreakerConfig{}
	}
	c := &localConfig{
		failureThreshold:    or(config.FailureThreshold, defaultFailureThreshold),
		failureDecay:        or(config.FailureDecay, defaultFailureDecay),
		consecutiveFailures: config.GetConsecutiveFailures(),
		failureRate:         localRate{config.GetFailureRate().GetPercent(), config.GetFailureRate().GetMinimumCalls()},
		slowCallRate:        localRate{config.GetSlowCallRate().GetPercent(), config.GetSlowCallRate().GetMinimumCalls()},
		slowCall:            slowCallOf(config),
		windowCalls:         int(config.GetWindow().GetCalls()),
		windowDuration:      config.GetWindow().GetDuration().AsDuration(),
		openDuration:        orDuration(config.GetOpenDuration(), defaultOpenDuration),
		multiplier:          config.GetBackoff().GetMultiplier(),
		jitter:              config.GetBackoff().GetJitter(),
		maxOpenDuration:     config.GetBackoff().GetMax().AsDuration(),
		successThreshold:    int(or(config.SuccessThreshold, defaultSuccessThreshold)),
		maxProbes:           int(config.GetMaxProbes()),
		probeCalls:          config.GetProbeCalls().GetCalls(),
		probeFailurePercent: config.GetProbeCalls().GetFailurePercent(),
		callTimeout:         orDuration(config.GetCallTimeout(), defaultCallTimeout),
		expiredIsIgnored:    config.GetExpiredProbe() == breakerpb.ExpiredProbe_EXPIRED_PROBE_IGNORE,
		failureErrors:       config.GetFailureErrors().GetGlobs(),
		ignoredErrors:       config.GetIgnoredErrors().GetGlobs(),
	}
	if effective != nil {
		c.failureThreshold = effective.GetFailureThreshold()
		c.openDuration = orDuration(effective.GetOpenDuration(), c.openDuration)
		c.successThreshold = int(effective.GetSuccessThreshold())
		c.maxProbes = int(effective.GetMaxProbes())
	}
	if c.windowCalls == 0 && c.windowDuration == 0 {
		c.windowCalls = defaultWindowCalls
	}
	c.successThreshold = max(c.successThreshold, 1)
	if c.maxProbes == 0 {
		c.maxProbes = c.successThreshold
		if c.probeCalls > 0 {
			c.maxProbes = int(c.probeCalls)
		}
	}
	return c
}

func or(value *uint32, otherwise uint32) uint32 {
	if value == nil {
		return otherwise
	}
	return *value
}

func orDuration(value *durationpb.Duration, otherwise time.Duration) time.Duration {
	if value == nil {
		return otherwise
	}
	return value.AsDuration()
}

// slowCallOf is the duration from which a call is slow; 0 where nothing asks for it.
func slowCallOf(config *breakerpb.BreakerConfig) time.Duration {
	if config.GetSlowCallRate().GetPercent() == 0 {
		return 0
	}
	return config.GetSlowCallRate().GetDuration().AsDuration()
}

// hasWindow says whether a rate needs the window.
func (c *localConfig) hasWindow() bool {
	return c.failureRate.percent > 0 || c.slowCallRate.percent > 0
}

// pardons says whether an error of this kind counts for nothing. One without a kind is a failure.
func (c *localConfig) pardons(kind string) bool {
	if kind == "" {
		return false
	}
	return matchesKind(c.ignoredErrors, kind) || len(c.failureErrors) > 0 && !matchesKind(c.failureErrors, kind)
}

func matchesKind(globs []string, kind string) bool {
	for _, glob := range globs {
		if matchesText(glob, kind) {
			return true
		}
	}
	return false
}

// openFor is how long OPEN lasts after so many re-opens in a row; chance is from 0 to 1.
func (c *localConfig) openFor(reopens int, chance float64) time.Duration {
	if c.multiplier == 0 {
		return c.openDuration
	}
	grown := min(float64(c.openDuration), float64(c.maxOpenDuration))
	for i := 0; i < reopens && grown < float64(c.maxOpenDuration) && c.multiplier > 1; i++ {
		grown = min(grown*c.multiplier, float64(c.maxOpenDuration))
	}
	if reopens > 0 {
		grown -= grown * c.jitter * chance
	}
	return time.Duration(grown)
}
