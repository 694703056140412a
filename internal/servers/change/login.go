package change

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/servers/reach"
)

// CurrentVisit returns the connection by which this process was started. sudo removes it
// from the environment, so that the parents are asked, too.
func CurrentVisit() Visit {
	if v, ok := parseVisit(os.Getenv("SSH_CONNECTION")); ok {
		return v
	}
	for pid, n := os.Getppid(), 0; pid > 1 && n < 20; n++ {
		environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err != nil {
			break
		}
		for variable := range bytes.SplitSeq(environ, []byte{0}) {
			if text, ok := strings.CutPrefix(string(variable), "SSH_CONNECTION="); ok {
				if v, ok := parseVisit(text); ok {
					return v
				}
			}
		}
		pid = parentOf(pid)
	}
	return Visit{}
}

// parseVisit reads SSH_CONNECTION of sshd(8): the addresses and ports of both ends.
func parseVisit(text string) (Visit, bool) {
	f := strings.Fields(text)
	if len(f) != 4 {
		return Visit{}, false
	}
	return Visit{Client: f[0], Server: net.JoinHostPort(f[2], f[3])}, true
}

// parentOf returns the parent of a process, 0 if it is not known.
func parentOf(pid int) int {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The name of the program is in parentheses and may contain anything.
	f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(f) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(f[1]) // 0 if it is no number
	return parent
}

// The bounds of the wait for a login after a change was taken back.
const (
	minLoginWait = 15 * time.Second
	maxLoginWait = 2 * time.Minute
)

// Seen records that a new connection came, and reports whether the change waits for one.
func (s Store) Seen(id string) (bool, error) {
	st, err := s.State(id)
	if err != nil || st.Stage != Verifying {
		return false, err
	}
	return true, s.writeBytes(id, "seen", nil)
}

// verifyLogin waits until the caller comes back over a new connection. If it does not,
// the units are restored once more, and sshd is restarted; if that does not help either
// and the job permits it, the server is restarted.
//
// Only a login from outside proves that the server can be reached. If none comes, a
// connection from the server to itself shows whether sshd still answers.
func (r *runner) verifyLogin(ctx context.Context) {
	r.keepStage(Verifying)
	u := r.state.Undo
	if r.awaitLogin(ctx) {
		u.Login = LoginSeen
		return
	}
	r.tryEach(ctx, r.revertUnits, r.revertNetwork)
	if !r.answers() {
		r.tryEach(ctx, func(ctx context.Context) error { return reach.RestartListener(ctx, r.state.Visit.Server) })
	}
	if r.awaitLogin(ctx) {
		u.Login = LoginSeen
		return
	}
	if r.job.ConfirmReboot && !u.Rebooted {
		u.Rebooted = true
		r.keepStage(Verifying)
		r.tryEach(ctx, reach.ForceReboot)
		_ = clock.Sleep(ctx, maxLoginWait) // the restart ends this process
	}
	if u.Login = LoginAnswers; !r.answers() {
		u.Login = LoginFailed
		r.fail(errors.New("sshd does not answer after the change was taken back"))
		u.Cause = "sshd does not answer at " + r.state.Visit.Server
	}
}

// awaitLogin reports whether a new connection comes in time.
func (r *runner) awaitLogin(ctx context.Context) bool {
	deadline := time.Now().Add(min(max(r.job.Confirm, minLoginWait), maxLoginWait))
	for time.Now().Before(deadline) {
		if exists(r.store.find(r.job.ID, "seen")) {
			return true
		}
		if clock.Sleep(ctx, 100*time.Millisecond) != nil {
			return false
		}
	}
	return false
}

// answers reports whether sshd answers at the address by which the visit came. Without a
// known visit it is taken for granted.
func (r *runner) answers() bool {
	if r.state.Visit.Server == "" {
		return true
	}
	conn, err := net.DialTimeout("tcp", r.state.Visit.Server, 5*time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	if conn.SetDeadline(time.Now().Add(10*time.Second)) != nil {
		return false
	}
	version := make([]byte, 4)
	_, err = io.ReadFull(conn, version)
	return err == nil && string(version) == "SSH-"
}
