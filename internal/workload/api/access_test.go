package api

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/ownthread"
)

// connectAs connects to a socket as another user. The user is that of one thread only,
// which ends with the goroutine.
func connectAs(t *testing.T, path string, uid, gid int, groups ...uint32) (net.Conn, error) {
	t.Helper()
	var fd int
	var err error
	ownthread.Run(func() {
		fd, err = func() (int, error) {
			groups := append(groups, uint32(gid))
			for _, call := range [][4]uintptr{
				{unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(&groups[0]))},
				{unix.SYS_SETRESGID, uintptr(gid), uintptr(gid), uintptr(gid)},
				{unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)},
			} {
				if _, _, errno := unix.RawSyscall(call[0], call[1], call[2], call[3]); errno != 0 {
					return -1, errno
				}
			}
			fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err == nil {
				err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
			}
			return fd, err
		}()
	})
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	return net.FileConn(f)
}

// ask sends a request and returns the status and the message of an error.
func ask(t *testing.T, c net.Conn, method, path string) (int, string) {
	t.Helper()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: adamant\r\nContent-Length: 2\r\n\r\n{}", method, path); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var e Error
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		if err := json.NewDecoder(resp.Body).Decode(&e); err != nil {
			t.Fatal(err)
		}
	}
	return resp.StatusCode, e.Message
}

// TestAccessOfNobody checks that a request whose caller is not known is refused.
func TestAccessOfNobody(t *testing.T) {
	all := http.NewServeMux()
	all.HandleFunc("/", func(http.ResponseWriter, *http.Request) { t.Error("the request was answered") })
	w := httptest.NewRecorder()
	(&Server{}).authorize(all, all).ServeHTTP(w, httptest.NewRequest("GET", "/v1/workloads", nil))
	if w.Code != http.StatusForbidden {
		t.Errorf("status %d, want %d", w.Code, http.StatusForbidden)
	}
}

// TestAccess connects as several users: who is root, who is in the reading group, by the
// primary group or as one of many, and who is not.
func TestAccess(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("this test connects as other users: it needs root")
	}
	const reader, group = 12345, 23456
	dir, err := os.MkdirTemp("", "adamant-api-") // t.TempDir is for root only
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "adamant.sock")
	s, err := Listen(path, nil, metricsHandler(func() (reading, error) { return reading{}, nil }))
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	many := []uint32{group}
	for n := range uint32(100) {
		many = append(many, 30000+n)
	}
	if _, err := connectAs(t, path, reader, group, many...); err != unix.EACCES {
		t.Errorf("without a reading group: %v, want %v", err, unix.EACCES)
	}
	if err := s.SetReaders(group); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		uid, gid int
		groups   []uint32
		refused  string
	}{
		"root":             {uid: 0, gid: 0},
		"primary group":    {uid: reader, gid: group, refused: "user 12345 may read and not change anything"},
		"one of many":      {uid: reader, gid: reader, groups: many, refused: "user 12345 may read and not change anything"},
		"root's own group": {uid: reader, gid: group, groups: []uint32{0}, refused: "user 12345 may read and not change anything"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := connectAs(t, path, tt.uid, tt.gid, tt.groups...)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if status, message := ask(t, c, "GET", "/metrics"); status != http.StatusOK {
				t.Errorf("metrics: %d %s", status, message)
			}
			for _, r := range []string{"POST /v1/apply", "POST /v1/workloads/default/Deployment/web/undo", "DELETE /v1/objects/default/Deployment/web", "GET /v1/claims",
				"DELETE /v1/claims/default/web", "POST /v1/workloads", "PUT /v1/workloads", "GET /v1/nothing", "GET /"} {
				method, page, _ := strings.Cut(r, " ")
				c, err := connectAs(t, path, tt.uid, tt.gid, tt.groups...)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				status, message := ask(t, c, method, page)
				if tt.refused != "" && (status != http.StatusForbidden || message != tt.refused) || tt.refused == "" && status == http.StatusForbidden {
					t.Errorf("%s: %d %s", r, status, message)
				}
			}
		})
	}
	if _, err := connectAs(t, path, reader, reader); err != unix.EACCES {
		t.Errorf("out of the group: %v, want %v", err, unix.EACCES)
	}

	// The mode of the socket is not all that protects it.
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	c, err := connectAs(t, path, reader, reader)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if status, message := ask(t, c, "GET", "/metrics"); status != http.StatusForbidden || message != "user 12345 may not use this daemon" {
		t.Errorf("out of the group: %d %s", status, message)
	}

	// Readers cannot keep root from connecting.
	for range maxReaders + 10 {
		c, err := connectAs(t, path, reader, group)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	c, err = connectAs(t, path, reader, group)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("one reader too many is served")
	}
	c, err = connectAs(t, path, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if status, message := ask(t, c, "GET", "/metrics"); status != http.StatusOK {
		t.Errorf("root beside many readers: %d %s", status, message)
	}
}
