package pod

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/adamant-sh/adamant/internal/ownthread"
	"github.com/adamant-sh/adamant/internal/pod/translate"
)

// A Redirect is one rule by which connections of a pod reach another address.
type Redirect = translate.Redirect

// VirtualNet contains the addresses that Redirects replace. It is reserved for
// tests of network devices (RFC 2544), so that no pod has a reason to connect to an
// address in it.
const VirtualNet = "198.18.0.0/16"

// redirectTime bounds one call of iptables.
const redirectTime = 20 * time.Second

// CanRedirect returns an error if this machine cannot redirect connections.
func CanRedirect() error {
	_, err := restoreProgram()
	return err
}

func restoreProgram() (string, error) {
	for _, name := range []string{"iptables-restore", "/usr/sbin/iptables-restore", "/sbin/iptables-restore"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("iptables is missing (apt install iptables)")
}

// Redirect replaces the redirects of a pod with Redirected in its spec. The rules are in the pod's own network
// namespace, so that nothing is left when the pod is gone. It does nothing for a pod
// on the machine's network.
func (p *Pod) Redirect(ctx context.Context, list []Redirect) error {
	if p.SandboxID == "" {
		return nil
	}
	if err := p.e.redirect(ctx, &p.rec.Spec, p.SandboxID, list, false); err != nil {
		return fmt.Errorf("pod %s/%s: redirect connections: %w", p.Namespace, p.Name, err)
	}
	return nil
}

func (e *Engine) redirect(ctx context.Context, s *PodSpec, sandbox string, list []Redirect, first bool) error {
	if !s.Redirected || s.Spec.HostNetwork {
		return nil
	}
	program, err := restoreProgram()
	if err != nil {
		return err
	}
	rules, err := redirectRules(list, first)
	if err != nil {
		return err
	}
	resp, err := e.cri.PodSandboxStatus(ctx, &runtimeapi.PodSandboxStatusRequest{PodSandboxId: sandbox, Verbose: true})
	if err != nil {
		return err
	}
	pid := statusPID(resp.Info)
	if pid == 0 {
		return errors.New("the runtime does not tell the process of the pod's sandbox")
	}
	return inNetwork(pid, func() error {
		ctx, cancel := context.WithTimeout(ctx, redirectTime)
		defer cancel()
		cmd := exec.CommandContext(ctx, program, "-w", "--noflush")
		cmd.Stdin = bytes.NewReader(rules)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("iptables-restore: %w: %s", err, strings.TrimSpace(string(out)))
		}
		return nil
	})
}

// inNetwork calls do on a thread in the network namespace of a process. Programs
// that do starts are in that namespace, too.
func inNetwork(pid int, do func() error) error {
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return err
	}
	defer ns.Close()
	ownthread.Run(func() {
		if err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			err = fmt.Errorf("enter the network of process %d: %w", pid, err)
			return
		}
		err = do()
	})
	return err
}

// redirectChain is the chain with a pod's redirects.
const redirectChain = "ADAMANT-REDIRECT"

// redirectRules returns rules for iptables-restore, which replace those of an
// earlier call. With first they also pass connections to the redirects, and refuse
// those to a virtual address that has none, as to a Service without pods.
func redirectRules(list []Redirect, first bool) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "*nat\n:%s - [0:0]\n", redirectChain)
	if first {
		fmt.Fprintf(&b, "-A OUTPUT -d %s -j %s\n", VirtualNet, redirectChain)
	}
	for _, r := range list {
		if err := checkRedirect(r); err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "-A %s -d %s/32 -p %s", redirectChain, r.Address, r.Protocol)
		if r.Port != 0 {
			fmt.Fprintf(&b, " --dport %d", r.Port)
		}
		fmt.Fprintf(&b, " -j DNAT --to-destination %s", r.To)
		if r.ToPort != 0 {
			fmt.Fprintf(&b, ":%d", r.ToPort)
		}
		b.WriteByte('\n')
	}
	b.WriteString("COMMIT\n")
	if first {
		fmt.Fprintf(&b, "*filter\n-A OUTPUT -d %s -p tcp -j REJECT --reject-with tcp-reset\n-A OUTPUT -d %s -j REJECT\nCOMMIT\n", VirtualNet, VirtualNet)
	}
	return b.Bytes(), nil
}

// checkRedirect returns an error for a redirect of which no rule can be made.
func checkRedirect(r Redirect) error {
	is4 := func(s string) bool {
		a, err := netip.ParseAddr(s)
		return err == nil && a.Is4()
	}
	if !is4(r.Address) || !is4(r.To) || r.Protocol != "tcp" && r.Protocol != "udp" {
		return fmt.Errorf("redirect %+v: want two IPv4 addresses, and tcp or udp", r)
	}
	return nil
}
