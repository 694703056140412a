package change

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/adamant-sh/adamant/internal/fs/durable"
	"github.com/adamant-sh/adamant/internal/servers/reach"
)

// unitName returns the transient unit that carries out a change.
func unitName(id string) string { return reach.OwnUnit + "-" + id + ".service" }

// unitTimeout bounds the programs of systemd that are run for a unit.
const unitTimeout = 20 * time.Second

// startUnit starts the process of a change as a unit of systemd, and reports whether
// that is possible. The unit survives the end of the session and of all other units, and
// systemd starts its process again if that is killed.
func startUnit(id, program string, args []string) bool {
	if _, err := exec.LookPath("systemd-run"); err != nil || !reach.Booted() {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), unitTimeout)
	defer cancel()
	run := []string{"--quiet", "--collect", "--unit=" + unitName(id)}
	for _, property := range []string{
		"Type=simple", "DefaultDependencies=no", "IgnoreOnIsolate=yes", "RefuseManualStop=yes", "KillMode=process", "OOMScoreAdjust=-900",
		"Restart=on-failure", "RestartSec=500ms", "StandardInput=null", "StandardOutput=journal", "StandardError=journal",
	} {
		run = append(run, "--property="+property)
	}
	cmd := exec.CommandContext(ctx, "systemd-run", append(append(append(run, "--", program), args...), "carry", id)...)
	cmd.Env = environment
	return cmd.Run() == nil
}

// isUnitAlive reports whether systemd runs the process of a change, or will start it
// again.
func isUnitAlive(id string) bool {
	if !reach.Booted() {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), unitTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "systemctl", "show", "--property=ActiveState", "--value", unitName(id))
	cmd.Env = environment
	out, err := cmd.Output()
	state := strings.TrimSpace(string(out))
	return err == nil && (state == "active" || state == "activating" || state == "deactivating")
}

// bootUnit is the unit that takes up unfinished changes after a restart of the server. It
// exists only while a change can be reverted automatically.
const (
	bootUnit = "/etc/systemd/system/" + reach.OwnUnit + "-recover.service"
	bootLink = "/etc/systemd/system/sysinit.target.wants/" + reach.OwnUnit + "-recover.service"
)

// installBootUnit makes a restarted server take up the change. It starts early, because a
// change may keep the boot from ending. Its program is a copy: the other one is in a
// cache.
func (r *runner) installBootUnit() error {
	if r.job.Confirm == 0 || !reach.Booted() {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	program := r.store.path(r.job.ID, "program")
	if err := os.Link(self, program); err != nil {
		if err := copyProgram(self, program); err != nil {
			return err
		}
	}
	text := fmt.Sprintf(`[Unit]
Description=Take up a change that Adamant had not finished
DefaultDependencies=no
After=local-fs.target

[Service]
Type=oneshot
ExecStart=%s servers change recover
`, program)
	if err := os.Mkdir(filepath.Dir(bootLink), 0o755); err == nil {
		r.state.BootDir = true
	} else if !os.IsExist(err) {
		return err
	}
	if err := durable.WriteFile(bootUnit, []byte(text), 0o644); err != nil {
		return err
	}
	if err := os.Symlink(bootUnit, bootLink); err != nil && !os.IsExist(err) {
		return err
	}
	return durable.SyncDir(filepath.Dir(bootLink))
}

// removeBootUnit is called when nothing is left to revert automatically. If it fails, a
// restart finds nothing to do, and tries again.
func (r *runner) removeBootUnit() {
	removeBootFiles()
	if r.state.BootDir {
		_ = os.Remove(filepath.Dir(bootLink)) // others may have put links there
	}
}

func removeBootFiles() {
	for _, file := range []string{bootLink, bootUnit} {
		_ = os.Remove(file)
	}
}

func copyProgram(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return durable.WriteFile(to, content, 0o700)
}
