// Package breakerd is the Go SDK of breakerd, which keeps the circuit-breaker state of a whole
// fleet in one place.
//
// A [Client] keeps a copy of the breakers that its application uses, decides from the copy, reports
// outcomes in batches in the background, and goes on when the server is away. It never makes a
// guarded call fail or wait for reasons of its own: the only wait there is, is for the permit of a
// probe, 250 ms at most.
//
//	client, err := breakerd.New([]string{"127.0.0.1:7420"})
//	...
//	defer client.Close()
//	stripe, err := client.Breaker("payments/stripe")
//	...
//	err = stripe.Do(ctx, func(ctx context.Context) error { return charge(ctx, order) })
//	var denied *breakerd.DeniedError
//	if errors.As(err, &denied) { ... }
//
// [Call] returns a value and takes fallbacks, and [Breaker.Acquire] hands out a [Guard] for calls that do
// not fit into a function. The packages breakerhttp and breakergrpc guard HTTP and gRPC, of clients
// and of servers. What every client of breakerd does, word for word, stands in client/README.md of
// breakerd's repository.
package breakerd
