package breakerd_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	breakerd "breakerd.dev/client/go"
)

func charge(context.Context) (string, error) { return "charged", nil }

// A call that is made if the breaker allows it.
func Example() {
	client, err := breakerd.New([]string{os.Getenv("BREAKERD_ADDRESS")})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	stripe, err := client.Breaker("payments/stripe")
	if err != nil {
		log.Fatal(err)
	}
	err = stripe.Do(context.Background(), func(ctx context.Context) error {
		_, err := charge(ctx)
		return err
	})
	var denied *breakerd.DeniedError
	if errors.As(err, &denied) {
		fmt.Println("try again in", denied.RetryAfter)
		return
	}
	fmt.Println(err)
	// Output: <nil>
}

// A call with a value, and with answers for when it is denied or fails.
func ExampleCall() {
	client, err := breakerd.New([]string{os.Getenv("BREAKERD_ADDRESS")})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	stripe, err := client.Breaker("payments/stripe")
	if err != nil {
		log.Fatal(err)
	}
	receipt, err := breakerd.Call(context.Background(), stripe, charge,
		breakerd.Serve("degraded", func(context.Context, *breakerd.DeniedError) (string, error) {
			return "charged later", nil
		}),
		breakerd.Fallback(func(_ context.Context, err error) (string, error) {
			return "", fmt.Errorf("the shop takes no cards at the moment: %w", err)
		}))
	fmt.Println(receipt, err)
	// Output: charged <nil>
}

// A guard, for a call that does not fit into a function.
func ExampleBreaker_Acquire() {
	client, err := breakerd.New([]string{os.Getenv("BREAKERD_ADDRESS")})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	stripe, err := client.Breaker("payments/stripe")
	if err != nil {
		log.Fatal(err)
	}
	pay := func(ctx context.Context) (receipt string, err error) {
		guard, err := stripe.Acquire(ctx)
		if err != nil {
			return "", err
		}
		defer guard.Done(&err)
		return charge(ctx)
	}
	fmt.Println(pay(context.Background()))
	// Output: charged <nil>
}
