// The driver of the conformance suite: one JSON object a line in, one a line out, in the same order.
// What it understands stands in client/README.md.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
)

func main() {
	// Standard output is for answers alone.
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err := serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(in io.Reader, out io.Writer) error {
	d := driver{guards: make(map[string]*held)}
	defer d.end()
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	answers := json.NewEncoder(out)
	for lines.Scan() {
		var command command
		answer, err := answer{}, json.Unmarshal(lines.Bytes(), &command)
		if err == nil {
			answer, err = d.do(&command)
		}
		if err != nil {
			answer = map[string]any{"error": err.Error()}
		}
		if err := answers.Encode(answer); err != nil {
			return err
		}
	}
	return lines.Err()
}

// A command is one line; durations are in milliseconds.
type command struct {
	Do string

	Addresses      []string
	ClientID       string `json:"client_id"`
	Selectors      []string
	OnUnavailable  string  `json:"on_unavailable"`
	StaleAfter     float64 `json:"stale_after"`
	MaxStaleness   float64 `json:"max_staleness"`
	PermitTimeout  float64 `json:"permit_timeout"`
	RequestTimeout float64 `json:"request_timeout"`
	ReportInterval float64 `json:"report_interval"`
	BackoffLeast   float64 `json:"backoff_least"`
	BackoffMost    float64 `json:"backoff_most"`
	Token          string
	LocalGuard     json.RawMessage `json:"local_guard"`
	Listen         bool

	Timeout  float64
	Breaker  string
	Outcome  string
	Kind     string
	Duration float64
	Times    *int
	As       string
	Guard    string
}

type answer = map[string]any
