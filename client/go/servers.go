package breakerd

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
)

// maxLearned is how many leaders that are not in the list one round asks at most. More than one,
// because the leader known from before may name the new one.
const maxLearned = 2

// maxLearnedKept is how many of those are remembered.
const maxLearnedKept = 4

// servers are those of a fleet, and which of them is asked first. All requests go to one of them
// until it is away or says that it stands by; then the one that it names as the leader is asked, or
// else the next one in the list, each once a round.
type servers struct {
	options []grpc.DialOption
	// redialAfter is how long a connection is kept that could not be made.
	redialAfter time.Duration

	mu sync.Mutex
	// configured are in the order in which they were named.
	configured []*server
	// learned are leaders that are not in the list, the latest last.
	learned []*server
	// first is asked first. It may be a learned one.
	first  *server
	closed bool
}

// A server is one of them. The connection is made at the first request.
type server struct {
	address string
	// conn is nil while there is none; it was made at dialedAt. Both belong to the lock of the servers.
	conn     *grpc.ClientConn
	dialedAt time.Time
}

// A round is how a request went about the servers so far: it asks none twice.
type round struct {
	server  *server
	asked   []string
	learned int
}

// step says who comes after a server that did not serve a request.
type step uint8

const (
	// stepLeader: the one that was named as the leader.
	stepLeader step = iota
	// stepNext: the next one in the list.
	stepNext
	// stepOver: nobody; all were asked.
	stepOver
)

func newServers(s settings) *servers {
	all := &servers{options: dialOptions(s), redialAfter: s.backoffLeast / 2}
	for _, address := range s.addresses {
		all.configured = append(all.configured, &server{address: address})
	}
	all.first = all.configured[0]
	return all
}

// parseAddress reads `host:port`, with or without a scheme.
func parseAddress(text string) (string, error) {
	address := strings.TrimPrefix(strings.TrimPrefix(text, "http://"), "https://")
	address = strings.TrimSuffix(address, "/")
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || strings.ContainsAny(address, "/ ") {
		return "", fmt.Errorf("breakerd: %q is not an address such as `127.0.0.1:7420`", text)
	}
	if number, err := strconv.ParseUint(port, 10, 16); err != nil || number == 0 {
		return "", fmt.Errorf("breakerd: %q has no port from 1 to 65535", text)
	}
	return strings.ToLower(address), nil
}

// begin begins a round.
func (s *servers) begin() *round {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &round{server: s.first}
	if s.place(s.first.address) < 0 {
		r.learned = 1
	}
	return r
}

// advance moves a round on from a server that was away, or that does not lead and named the leader.
// Later rounds begin with the server that this one moves to, unless another has moved them on.
func (s *servers) advance(r *round, leader string) step {
	s.mu.Lock()
	defer s.mu.Unlock()
	failed := r.server
	r.asked = append(r.asked, failed.address)
	how, next := stepLeader, s.leader(r, leader)
	if next == nil {
		how, next = s.next(r)
	}
	r.server = next
	if s.first.address == failed.address {
		s.first = next
	}
	return how
}

// settle lets later rounds begin with the server that has answered this one.
func (s *servers) settle(r *round) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// There is no news in the answer of the server that was asked because it is the first.
	if len(r.asked) > 0 {
		s.first = r.server
	}
}

// renew begins a round afresh with the same server.
func (r *round) renew() { r.asked, r.learned = nil, 0 }

// leader is the server that was named, if this round may ask it.
func (s *servers) leader(r *round, address string) *server {
	address, err := parseAddress(address)
	if err != nil || r.hasAsked(address) {
		return nil
	}
	if place := s.place(address); place >= 0 {
		return s.configured[place]
	}
	if r.learned == maxLearned {
		return nil
	}
	r.learned++
	return s.learn(address)
}

// learn is the server of a leader that is not in the list. Many calls are told of it at once, and
// share one connection.
func (s *servers) learn(address string) *server {
	for _, known := range s.learned {
		if known.address == address {
			return known
		}
	}
	if len(s.learned) == maxLearnedKept {
		s.learned[0].drop()
		s.learned = append(s.learned[:0], s.learned[1:]...)
	}
	named := &server{address: address}
	s.learned = append(s.learned, named)
	return named
}

// next is the next one in the list that this round has not asked; if it has asked all of them, the
// next one all the same, for another round to begin with.
func (s *servers) next(r *round) (step, *server) {
	from := 0
	for i := len(r.asked) - 1; i >= 0; i-- {
		// After a learned server, the list goes on after the one that it was learned from.
		if place := s.place(r.asked[i]); place >= 0 {
			from = place + 1
			break
		}
	}
	count := len(s.configured)
	for i := 0; i < count; i++ {
		if next := s.configured[(from+i)%count]; !r.hasAsked(next.address) {
			return stepNext, next
		}
	}
	return stepOver, s.configured[from%count]
}

func (r *round) hasAsked(address string) bool {
	for _, asked := range r.asked {
		if asked == address {
			return true
		}
	}
	return false
}

func (s *servers) place(address string) int {
	for i, server := range s.configured {
		if server.address == address {
			return i
		}
	}
	return -1
}
