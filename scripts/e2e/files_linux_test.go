package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"potluck/scripts/localgrid"
)

// from is a client of another address of this machine, which keeps no
// connection open.
func from(address string) *http.Client {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	return &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}}
}

// ask gets a path and gives the status and the body.
func ask(t *testing.T, c *http.Client, url string) (int, string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// A server that may open few files is not used up by the streams of one
// address: others are served, and the log says what was refused.
func TestStreamsOfOneAddressLeaveRoom(t *testing.T) {
	for _, files := range []int{64, 400} {
		t.Run(strconv.Itoa(files), func(t *testing.T) {
			few := t.TempDir()
			wrapper := fmt.Sprintf("#!/bin/sh\nulimit -n %d\nexec %s \"$@\"\n", files, filepath.Join(bin, "potluck"))
			if err := os.WriteFile(filepath.Join(few, "potluck"), []byte(wrapper), 0o700); err != nil {
				t.Fatal(err)
			}
			g, err := localgrid.Start(few, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(g.Close)
			attacker, honest := from("127.0.0.66"), from("127.0.0.2")
			streams := 0
			for range files {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.URL+"/api/v1/grid/events", nil)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := attacker.Do(req)
				if err != nil {
					continue // it was refused
				}
				t.Cleanup(func() { _ = resp.Body.Close() })
				streams++
			}
			if streams == 0 || streams > files/8 {
				t.Errorf("%d streams of %d files", streams, files)
			}
			for _, path := range []string{"/readyz", "/api/v1/jobs", "/"} {
				if status, body, err := ask(t, honest, g.URL+path); err != nil || status != http.StatusOK {
					t.Errorf("%s: %d, %s, %v", path, status, body, err)
				}
			}
			if text := g.Server.Log.String(); !strings.Contains(text, "an address has as many connections as it may have") {
				t.Errorf("the log: %s", text)
			}
			attacker.CloseIdleConnections()
		})
	}
}

// A server without a file descriptor says so in its log, and answers again once
// there are some.
func TestUsedUpFilesAreSaid(t *testing.T) {
	g := start(t)
	pid := g.Server.Process.Pid
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	var before unix.Rlimit
	few := func() *unix.Rlimit { return &unix.Rlimit{Cur: uint64(len(open)), Max: before.Max} }
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &before); err != nil {
		t.Fatal(err)
	}
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, few(), nil); err != nil {
		t.Fatal(err)
	}
	client := from("127.0.0.2")
	answer := make(chan error, 1)
	go func() {
		_, _, err := ask(t, client, g.URL+"/api/v1/jobs")
		answer <- err
	}()
	until(t, "the log to say so", func() bool { return strings.Contains(g.Server.Log.String(), "no file can be opened") })
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &before, nil); err != nil {
		t.Fatal(err)
	}
	if err := <-answer; err != nil {
		t.Errorf("once there are files again: %v", err)
	}
	if n := strings.Count(g.Server.Log.String(), "no file can be opened"); n != 1 {
		t.Errorf("the log says so %d times", n)
	}
}
