package sshd

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// spawn starts the boot script as the first process of a server, in a process
// namespace below the lab's, so that the server ends with the lab. It returns
// the server's process.
func (l *Lab) spawn(cmd *exec.Cmd) (*os.Process, error) {
	pid, told, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer pid.Close()
	cmd.ExtraFiles = []*os.File{told}
	err = cmd.Start()
	// Only the script may hold this end, so that reading ends if the script
	// fails.
	told.Close()
	if a := cmd.SysProcAttr; a != nil && a.UseCgroupFD {
		syscall.Close(a.CgroupFD)
	}
	if err != nil {
		return nil, err
	}
	var first int
	if _, err := fmt.Fscanln(pid, &first); err != nil {
		cmd.Process.Kill()
		cmd.Wait()
		return nil, fmt.Errorf("it does not say which process it is: %w", err)
	}
	return os.FindProcess(first)
}

// bootCommand returns the boot script in its own namespaces.
func (s *Server) bootCommand() (*exec.Cmd, error) {
	args := []string{"--pid=" + s.lab.namespace("pid"), "--", "unshare", "--mount", "--pid", "--uts", "--ipc", "--net"}
	if s.cgroup != "" {
		args = append(args, "--cgroup")
	}
	// A process that ignores SIGHUP, as one of nohup does, would not end by the signal by
	// which a reboot is recognised.
	args = append([]string{"--default-signal=HUP", "nsenter"}, append(args, "--fork", "--", "sh", "-euc", bootScript)...)
	cmd := exec.Command("env", args...)
	if s.cgroup == "" {
		return cmd, nil
	}
	return cmd, s.enterCgroup(cmd)
}
