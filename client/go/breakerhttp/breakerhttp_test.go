package breakerhttp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	breakerd "breakerd.dev/client/go"
	"breakerd.dev/client/go/breakerhttp"
	"breakerd.dev/client/go/internal/daemon"
	"breakerd.dev/client/go/internal/guarded"
)

func TestMain(m *testing.M) { os.Exit(daemon.Run(m.Run)) }

func TestATransportGuardsRequests(t *testing.T) {
	status, asked := 200, 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "hello")
	}))
	defer server.Close()
	breaker := guarded.Opens(t, "http/transport", 3)
	client := &http.Client{Transport: &breakerhttp.Transport{Pick: breakerhttp.Fixed(breaker)}}
	get := func(want int) {
		t.Helper()
		response, err := client.Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil || string(body) != "hello" || response.StatusCode != want {
			t.Error(response.StatusCode, string(body), err)
		}
	}
	for _, status = range []int{200, 404, 404, 404, 503, 429, 500} {
		get(status)
	}
	_, err := client.Post(server.URL, "text/plain", strings.NewReader("body"))
	var denied *breakerd.DeniedError
	if !errors.As(err, &denied) || asked != 7 {
		t.Error(err, asked)
	}
	client.Transport = &breakerhttp.Transport{Pick: func(*http.Request) *breakerd.Breaker { return nil }}
	get(500)
}

func TestAHeaderThatDoesNotComeIsATimeoutAndACancelledRequestIsNot(t *testing.T) {
	hang := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			// A body may take as long as it likes.
			w.WriteHeader(200)
			_ = http.NewResponseController(w).Flush()
			time.Sleep(50 * time.Millisecond)
			_, _ = io.WriteString(w, "late")
			return
		}
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	defer close(hang)
	breaker := guarded.Opens(t, "http/timeout", 1)
	client := &http.Client{Transport: &breakerhttp.Transport{Pick: breakerhttp.Fixed(breaker)}}
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(30*time.Millisecond, cancel)
	request, _ := http.NewRequestWithContext(ctx, "GET", server.URL, nil)
	if _, err := client.Do(request); !errors.Is(err, context.Canceled) || guarded.IsOpen(breaker) {
		t.Error(err)
	}
	response, err := client.Get(server.URL + "/body")
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(response.Body); string(body) != "late" || err != nil {
		t.Error(string(body), err)
	}
	response.Body.Close()
	ctx, cancel = context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	request, _ = http.NewRequestWithContext(ctx, "GET", server.URL, nil)
	if _, err := client.Do(request); !errors.Is(err, context.DeadlineExceeded) || !guarded.IsOpen(breaker) {
		t.Error(err)
	}
}

func TestAMiddlewareAnswers503WithRetryAfter(t *testing.T) {
	breaker := guarded.Opens(t, "http/middleware", 2)
	handler := breakerhttp.Middleware(breakerhttp.Fixed(breaker), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/panic":
			panic("ouch")
		case "/hints":
			w.WriteHeader(http.StatusEarlyHints)
		case "/fails":
			w.WriteHeader(http.StatusBadGateway)
		}
		w.(http.Flusher).Flush()
	}))
	serve := func(path string) *httptest.ResponseRecorder {
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, httptest.NewRequest("GET", path, nil))
		return recorder
	}
	serve("/hints")
	if got := serve("/fails"); got.Code != http.StatusBadGateway || !got.Flushed {
		t.Error(got.Code, got.Flushed)
	}
	func() {
		defer func() {
			if recover() != "ouch" {
				t.Error("a panic goes on")
			}
		}()
		serve("/panic")
	}()
	got := serve("/")
	if after := got.Header().Get("Retry-After"); got.Code != http.StatusServiceUnavailable || after != "60" && after != "59" {
		t.Error(got.Code, after)
	}
	if breakerhttp.WriteDenied(httptest.NewRecorder(), errors.New("another")) {
		t.Error("not every error is a denial")
	}
}

// An HTTP client of which every request asks a breaker first.
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
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "charged") }))
	defer shop.Close()

	guarded := &http.Client{Transport: &breakerhttp.Transport{Pick: breakerhttp.Fixed(stripe)}}
	response, err := guarded.Get(shop.URL)
	var denied *breakerd.DeniedError
	if errors.As(err, &denied) {
		fmt.Println("try again in", denied.RetryAfter)
		return
	}
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	fmt.Println(string(body))
	// Output: charged
}

// A handler that is not asked while its breaker denies calls.
func ExampleMiddleware() {
	client, err := breakerd.New([]string{os.Getenv("BREAKERD_ADDRESS")})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	search, err := client.Breaker("shop/search")
	if err != nil {
		log.Fatal(err)
	}
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "found") })
	server := httptest.NewServer(breakerhttp.Middleware(breakerhttp.Fixed(search), hello))
	defer server.Close()
	response, err := http.Get(server.URL)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	fmt.Println(response.StatusCode)
	// Output: 200
}
