// Package daemon starts real servers for tests.
package daemon

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// A Daemon is a real breakerd process, on a database in memory.
type Daemon struct {
	// Address is where gRPC listens.
	Address string
	command *exec.Cmd
}

// Start starts a server that listens at an address, of which the port may be 0, and waits until it
// does. The binary is BREAKERD_BINARY, or what cargo has built in this repository.
func Start(address string) (*Daemon, error) {
	path, err := binary()
	if err != nil {
		return nil, err
	}
	command := exec.Command(path, "--database", "memory:", "--listen", address, "--http-listen", "127.0.0.1:0")
	var said bytes.Buffer
	command.Stderr = &said
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	d := &Daemon{command: command}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if listens, ok := strings.CutPrefix(lines.Text(), "grpc listening on "); ok {
			d.Address = listens
		}
		if strings.HasPrefix(lines.Text(), "http listening on ") {
			return d, nil
		}
	}
	return nil, fmt.Errorf("%s ended with %v: %s", path, command.Wait(), said.String())
}

// Run runs tests beside a server, whose address they find in BREAKERD_ADDRESS, and returns what they
// exit with.
func Run(tests func() int) int {
	server, err := Start("127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	os.Setenv("BREAKERD_ADDRESS", server.Address)
	defer server.Kill()
	return tests()
}

func binary() (string, error) {
	path := os.Getenv("BREAKERD_BINARY")
	if path == "" {
		target := os.Getenv("CARGO_TARGET_DIR")
		if target == "" {
			_, here, _, _ := runtime.Caller(0)
			target = filepath.Join(filepath.Dir(here), "../../../../target")
		}
		path = filepath.Join(target, "debug/breakerd")
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s is missing: build it by `cargo build --bin breakerd`, or name one in BREAKERD_BINARY", path)
	}
	return path, nil
}

// Kill ends it with SIGKILL.
func (d *Daemon) Kill() {
	_ = d.command.Process.Kill()
	_ = d.command.Wait()
}

// Signal sends it a signal. It fails if the process has ended.
func (d *Daemon) Signal(signal os.Signal) error {
	if d.command.ProcessState != nil {
		return errors.New("breakerd has ended")
	}
	return d.command.Process.Signal(signal)
}

// Hang stops it, and waits until it stands still: a busy process goes on until the thread that takes
// the signal has its turn.
func (d *Daemon) Hang() error {
	if err := d.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	for {
		if _, err := syscall.Wait4(d.command.Process.Pid, nil, syscall.WUNTRACED, nil); err != syscall.EINTR {
			return err
		}
	}
}
