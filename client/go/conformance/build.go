package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	breakerd "breakerd.dev/client/go"
	"breakerd.dev/client/go/breakerpb"
)

// build builds the client, in place of one that was built before.
func (d *driver) build(c *command) error {
	options, err := c.options()
	if err != nil {
		return err
	}
	client, err := breakerd.New(c.Addresses, options...)
	if err != nil {
		return err
	}
	d.end()
	d.client = client
	d.events()
	if c.Listen {
		d.listen()
	}
	return nil
}

func (c *command) options() ([]breakerd.Option, error) {
	var options []breakerd.Option
	add := func(isSet bool, option breakerd.Option) {
		if isSet {
			options = append(options, option)
		}
	}
	add(c.ClientID != "", breakerd.WithClientID(c.ClientID))
	add(c.Selectors != nil, breakerd.WithSelectors(c.Selectors...))
	add(c.Token != "", breakerd.WithToken(c.Token))
	if c.OnUnavailable != "" {
		place := slices.Index([]string{"allow", "deny", "local"}, c.OnUnavailable)
		add(true, breakerd.WithOnUnavailable(breakerd.OnUnavailable(place+1)))
	}
	for _, of := range []struct {
		ms   float64
		with func(time.Duration) breakerd.Option
	}{
		{c.StaleAfter, breakerd.WithStaleAfter},
		{c.MaxStaleness, breakerd.WithMaxStaleness},
		{c.PermitTimeout, breakerd.WithPermitTimeout},
		{c.RequestTimeout, breakerd.WithRequestTimeout},
		{c.ReportInterval, breakerd.WithReportInterval},
	} {
		add(of.ms != 0, of.with(millis(of.ms)))
	}
	least, most := 100*time.Millisecond, 5*time.Second
	if c.BackoffLeast != 0 {
		least = millis(c.BackoffLeast)
	}
	if c.BackoffMost != 0 {
		most = millis(c.BackoffMost)
	}
	add(true, breakerd.WithBackoff(least, max(least, most)))
	if len(c.LocalGuard) > 0 && string(c.LocalGuard) != "null" && string(c.LocalGuard) != "false" {
		config, err := readConfig(c.LocalGuard)
		if err != nil {
			return nil, err
		}
		add(true, breakerd.WithLocalGuard(config))
	}
	return options, nil
}

// readConfig reads a configuration as breakerd's files write it; nil for an empty one.
func readConfig(text json.RawMessage) (*breakerpb.BreakerConfig, error) {
	var keys map[string]any
	if err := json.Unmarshal(text, &keys); err != nil {
		return nil, fmt.Errorf("local_guard: %w", err)
	}
	if len(keys) == 0 {
		return nil, nil
	}
	wire, err := json.Marshal(asWire(keys))
	if err != nil {
		return nil, err
	}
	config := new(breakerpb.BreakerConfig)
	if err := protojson.Unmarshal(wire, config); err != nil {
		return nil, fmt.Errorf("local_guard: %w", err)
	}
	return config, nil
}

// asWire turns what files write otherwise than the wire into the wire's JSON: durations, globs and
// words.
func asWire(keys map[string]any) map[string]any {
	wire := make(map[string]any, len(keys))
	for key, value := range keys {
		switch value := value.(type) {
		case map[string]any:
			wire[key] = asWire(value)
		case []any:
			wire[key] = value
			if strings.HasSuffix(key, "_errors") {
				wire[key] = map[string]any{"globs": value}
			}
		case bool:
			// false turns a rule off, as leaving it out does here.
		case float64:
			wire[key] = value
			if strings.HasSuffix(key, "duration") || strings.HasSuffix(key, "_timeout") {
				wire[key] = fmt.Sprintf("%.6fs", value/1000)
			}
		case string:
			wire[key] = value
			if duration, err := time.ParseDuration(value); err == nil {
				wire[key] = fmt.Sprintf("%.9fs", duration.Seconds())
			}
			if key == "on_unavailable" || key == "expired_probe" {
				wire[key] = strings.ToUpper(key + "_" + value)
			}
		}
	}
	return wire
}
