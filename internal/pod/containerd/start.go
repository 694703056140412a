package containerd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/adamant-sh/adamant/internal/fs/durable"
	"github.com/adamant-sh/adamant/internal/pod/cri"
)

// readyWithin bounds the time that a daemon takes until it can run pods: a few
// seconds on a slow and busy machine.
const readyWithin = 30 * time.Second

func (l layout) mkdirs() error {
	for _, dir := range []string{l.root, l.state} {
		if err := claim(dir); err != nil {
			return err
		}
	}
	// Mode 0711, as for containerd's own directories: other users can traverse
	// but not list them.
	for _, dir := range []string{l.configDir(), l.cniConfDir(), l.binDir(), l.viewDir()} {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return err
		}
	}
	return nil
}

// A record describes the daemon that a start left running. The next start uses
// it instead of examining the machine again.
type record struct {
	Inputs      string  `json:"inputs"` // see the function inputs
	Network     Network `json:"network"`
	Snapshotter string  `json:"snapshotter"`
	Systemd     bool    `json:"systemd"`
}

func (l layout) record() string { return filepath.Join(l.state, "started.json") }

// inputs describes the files that a start depends on, by path, size and
// modification time.
func inputs(b Binaries, executable string) string {
	var text string
	for _, path := range []string{b.Containerd, b.Shim, b.Runc, b.CNI, b.Iptables, executable} {
		text += path
		if info, err := os.Stat(path); err == nil {
			text += fmt.Sprintf(" %d %d", info.Size(), info.ModTime().UnixNano())
		}
		text += "\n"
	}
	return text
}

// reconnect returns a connection to the running daemon, or nil if it is not
// ready or a start would use other programs now.
func reconnect(ctx context.Context, l layout, executable string) *Daemon {
	raw, err := os.ReadFile(l.record())
	if err != nil {
		return nil
	}
	var r record
	if json.Unmarshal(raw, &r) != nil {
		return nil
	}
	if !r.Network.Services.IsValid() { // of a version without them
		return nil
	}
	b, err := locate()
	if err != nil || inputs(b, executable) != r.Inputs {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	d, err := open(ctx, r, l)
	if err != nil {
		return nil
	}
	if ready, _, err := d.cri.Ready(ctx); err != nil || !ready {
		d.Close()
		return nil
	}
	return d
}

func (d *Daemon) writeRecord(b Binaries, executable string) error {
	raw, err := json.Marshal(record{inputs(b, executable), d.network, d.snapshotter, d.systemd})
	if err != nil {
		return err
	}
	return durable.WriteFile(d.layout.record(), raw, 0o600)
}

// prepare writes all files that the daemon reads.
func prepare(ctx context.Context, l layout, executable string) (settings, Network, error) {
	b, err := Find(ctx)
	if err != nil {
		return settings{}, Network{}, err
	}
	in, err := loadInstance(l.instance())
	if err != nil {
		return settings{}, Network{}, err
	}
	s := probeSettings(l, b, in)
	if executable == "" {
		executable = b.Runc
	}
	for name, target := range map[string]string{runcWrapper: executable, "runc": b.Runc} {
		if err := replaceLink(target, filepath.Join(l.binDir(), name)); err != nil {
			return settings{}, Network{}, err
		}
	}
	// Saved before the daemon starts: its first pod creates the shared chains.
	in.recordOwned(ctx, b)
	n, err := in.network(ctx, s)
	if err != nil {
		return settings{}, Network{}, err
	}
	if err := in.save(l.instance()); err != nil {
		return settings{}, Network{}, err
	}
	path, content := s.file()
	if old, err := os.ReadFile(path); err != nil || string(old) != content {
		if err := durable.WriteFile(path, []byte(content), 0o600); err != nil {
			return settings{}, Network{}, err
		}
	}
	return s, n, nil
}

// launch ensures that a daemon runs with the settings s. It replaces one that
// runs with another configuration, runs another containerd, or is not ready.
func launch(ctx context.Context, s settings) error {
	config, _ := s.file()
	p, err := findProcess(s.layout)
	if err != nil {
		return err
	}
	if p != nil {
		defer p.close()
		if p.config == config && p.runs(s.binaries.Containerd) {
			// The daemon may still be starting, if the process that started it was killed.
			err := waitReady(ctx, s.layout, func() (error, bool) { return errors.New("it ended"), p.ended() })
			if err == nil || ctx.Err() != nil {
				return err
			}
		}
		if err := p.stop(ctx, 10*time.Second); err != nil {
			return err
		}
	}
	if err := endShimCommands(s.layout); err != nil {
		return err
	}
	exited, err := spawn(s, config)
	if err != nil {
		return err
	}
	if err := waitReady(ctx, s.layout, exited); err != nil {
		return err
	}
	return removeOthers(s.configDir(), config)
}

// runs reports whether the process runs the file at path. After an update of
// the package, /proc/PID/exe is the old file, which is no longer at path.
func (p *process) runs(path string) bool {
	exe, err1 := os.Stat(fmt.Sprintf("/proc/%d/exe", p.pid))
	file, err2 := os.Stat(path)
	return err1 == nil && err2 == nil && os.SameFile(exe, file)
}

// waitReady waits until the daemon reports that it can run pods.
func waitReady(ctx context.Context, l layout, exited func() (error, bool)) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	last := errors.New("it does not answer")
	for {
		if err, ended := exited(); ended {
			return fmt.Errorf("it ended (%w)%s", err, quoteLog(l))
		}
		if err := checkReady(ctx, l); err == nil {
			return nil
		} else if ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("it did not get ready: %w: %w%s", last, ctx.Err(), quoteLog(l))
		case <-tick.C:
		}
	}
}

func checkReady(ctx context.Context, l layout) error {
	if _, err := os.Stat(l.socket()); err != nil {
		return errors.New("its socket is not there")
	}
	c, err := cri.Dial(ctx, "unix://"+l.socket())
	if err != nil {
		return err
	}
	defer c.Close()
	ready, reason, err := c.Ready(ctx)
	if err != nil {
		return err
	}
	if !ready {
		return errors.New(reason)
	}
	return nil
}

func quoteLog(l layout) string {
	tail := logTail(l.log(), 8)
	if tail == "" {
		return ""
	}
	return fmt.Sprintf("; the end of %s:\n%s", l.log(), tail)
}

// removeOthers removes all files of a directory except keep.
func removeOthers(dir, keep string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if path == keep {
			continue
		}
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}
