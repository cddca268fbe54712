package breakerd

import (
	"sort"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"breakerd.dev/client/go/breakerpb"
)

// A snapshot is one that is under way: what has come of it.
type snapshot struct {
	selectors []string
	seen      map[string]struct{}
	// afresh: the server has begun anew, and its revisions may lie below those of the copy.
	afresh bool
}

func newSnapshot(selectors []string, afresh bool) *snapshot {
	return &snapshot{selectors: selectors, seen: make(map[string]struct{}), afresh: afresh}
}

// take takes a message of the stream into the copy; of is the snapshot that it is part of, nil for a
// message of another time.
func (c *Client) take(message *breakerpb.WatchResponse, of *snapshot, now int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range message.GetDeleted() {
		c.remove(name)
	}
	for _, state := range message.GetChanged() {
		c.learn(state, message.GetServerTime(), of, now)
	}
	if of == nil || !message.GetSnapshotComplete() {
		return
	}
	for name, b := range c.breakers {
		_, seen := of.seen[name]
		switch {
		case seen:
		case b.view.Load().exists:
			c.remove(name)
		case b.asked && matchesAny(of.selectors, name):
			b.setView(absent(true, b.tallyOf(0)))
		}
	}
	c.covered = of.selectors
}

// learn takes a state that the stream brought.
func (c *Client) learn(state *breakerpb.BreakerState, serverTime *timestamppb.Timestamp, of *snapshot, now int64) {
	name := state.GetName()
	b := c.breakers[name]
	if b == nil {
		b = c.newBreaker(name)
	}
	isFirst := false
	if of != nil {
		_, seen := of.seen[name]
		of.seen[name] = struct{}{}
		isFirst = !seen
	}
	held := b.view.Load()
	if held.exists && state.GetRevision() < held.revision && !(isFirst && of.afresh) {
		return
	}
	c.change(b, held, newView(state, serverTime, now, b.tallyOf(state.GetGeneration())))
}

func (c *Client) change(b *Breaker, held, news *view) {
	b.setView(news)
	if held.exists && !held.isLike(news) {
		c.events.transition(b, held, news)
	}
}

// takeAnswer takes the states that came with the answer to a report, of breakers that the copy holds.
func (c *Client) takeAnswer(answer *breakerpb.ReportResponse, now int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, state := range answer.GetStates() {
		b := c.breakers[state.GetName()]
		if b == nil {
			continue
		}
		if held := b.view.Load(); held.exists && state.GetRevision() >= held.revision {
			c.change(b, held, newView(state, answer.GetServerTime(), now, b.tallyOf(state.GetGeneration())))
		}
	}
}

// remove takes a breaker that is gone out of the copy.
func (c *Client) remove(name string) {
	b := c.breakers[name]
	if b == nil {
		return
	}
	if !b.asked {
		delete(c.breakers, name)
	}
	gone := absent(true, b.tallyOf(0))
	c.outcomes.forget(gone.tally)
	b.setView(gone)
}

// selectors are what to watch: what the client was built with, and the names that were asked for,
// gathered by their first part where they are too many.
func (c *Client) selectors() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return gatherSelectors(c.settings.selectors, c.asked)
}

// isWatched says whether each name that was asked for is covered by these selectors.
func (c *Client) isWatched(selectors []string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	exact := make(map[string]struct{}, len(selectors))
	var globs []string
	for _, selector := range selectors {
		exact[selector] = struct{}{}
		if strings.Contains(selector, "*") {
			globs = append(globs, selector)
		}
	}
	for _, name := range c.asked {
		if _, ok := exact[name]; !ok && !matchesAny(globs, name) {
			return false
		}
	}
	return true
}

// nobody is a name that no breaker has, for a client that has nothing to watch yet: without selectors a
// Watch is of every breaker.
const nobody = "breakerd/nobody"

func gatherSelectors(built, asked []string) []string {
	selectors := make(map[string]struct{}, len(built)+len(asked))
	for _, selector := range built {
		selectors[selector] = struct{}{}
	}
	for _, name := range asked {
		if !matchesAny(built, name) {
			selectors[name] = struct{}{}
		}
	}
	if len(selectors) > maxSelectors {
		clear(selectors)
		for _, selector := range built {
			selectors[selector] = struct{}{}
		}
		for _, name := range asked {
			if !matchesAny(built, name) {
				first, _, _ := strings.Cut(name, "/")
				selectors[first+"/**"] = struct{}{}
			}
		}
	}
	switch {
	case len(selectors) > maxSelectors:
		return []string{"**"}
	case len(selectors) == 0:
		return []string{nobody}
	}
	sorted := make([]string, 0, len(selectors))
	for selector := range selectors {
		sorted = append(sorted, selector)
	}
	sort.Strings(sorted)
	return sorted
}
