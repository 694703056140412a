// Servers measures how long it takes to find out whether servers are the same,
// compared with Ansible: `ansible -m setup`, which reads facts, and a playbook
// of five tasks with `--check --diff`, which checks five things. Adamant reads
// all files. The servers are real sshds in namespaces of this machine. It needs
// root and ansible-core.
//
//	go run ./bench/servers
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/adamant-sh/adamant/internal/servers/compare"
	"github.com/adamant-sh/adamant/internal/servers/facts"
	"github.com/adamant-sh/adamant/test/sshd"
)

// target is the minimum ratio of the playbook's time to Adamant's for the
// larger group of servers.
const target = 10

func main() {
	small := flag.Int("small", 3, "servers of the small fleet")
	large := flag.Int("large", 20, "servers of the large fleet")
	simulated := flag.Int("simulated", 200, "servers that are compared without a network")
	rounds := flag.Int("rounds", 3, "how often to measure each; the median counts")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	t := &sshd.Program{}
	defer t.End()
	b := bench{ctx: ctx, t: t, rounds: *rounds, dir: t.TempDir()}
	if err := b.measure(*small, *large, *simulated); err != nil {
		t.Fatalf("servers: %v", err)
	}
}

type bench struct {
	ctx    context.Context
	t      *sshd.Program
	rounds int
	dir    string // with home and hosts.ini
}

// playbook checks five things that drift, as users write it.
const playbook = `
- hosts: all
  gather_facts: true
  tasks:
  - lineinfile: {path: /etc/ssh/sshd_config, regexp: '^#?UsePAM', line: UsePAM yes}
  - copy: {content: "hello\n", dest: /etc/greeting, mode: "0644"}
  - user: {name: guest, state: present}
  - apt: {name: sudo, state: present}
  - file: {path: /etc/cron.d, state: directory, mode: "0755"}
`

func (b *bench) measure(small, large, simulated int) error {
	adamant := filepath.Join(b.dir, "adamant")
	build := exec.CommandContext(b.ctx, "scripts/build", adamant)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w: %s", err, out)
	}
	if err := os.WriteFile(filepath.Join(b.dir, "play.yml"), []byte(playbook), 0o600); err != nil {
		return err
	}
	l := sshd.Open(b.t, "python3-minimal", "python3-apt")
	var servers []*sshd.Server
	for i := range large {
		servers = append(servers, l.Start(fmt.Sprintf("web-%d", i+1), sshd.Options{Files: map[string]string{"/etc/greeting": "hello\n"}}))
	}
	var last []time.Duration
	for _, n := range []int{small, large} {
		if err := l.WriteHome(b.dir, servers[:n]); err != nil {
			return err
		}
		times, err := b.fleet(n, adamant)
		if err != nil {
			return err
		}
		last = times
	}
	verdict := ""
	if ratio := last[2].Seconds() / last[0].Seconds(); ratio < target {
		verdict = "MISSED"
	}
	fmt.Printf("playbook --check to compare, %d servers: target at least %d× %s\n", large, target, verdict)
	if err := b.wire(adamant, servers); err != nil {
		return err
	}
	return b.simulate(adamant, simulated)
}

// fleet measures compare, setup and the playbook.
func (b *bench) fleet(n int, adamant string) ([]time.Duration, error) {
	ways := []struct {
		name string
		args []string
		ok   int // an exit code other than 0 that is not a failure
	}{
		// Ansible leaves files in the homes of the servers, which are
		// differences between servers.
		{"adamant servers compare", []string{adamant, "servers", "compare", "-i", "hosts.ini"}, 3},
		{"ansible -m setup", []string{"ansible", "all", "-i", "hosts.ini", "-m", "setup", "-f", strconv.Itoa(n)}, 0},
		{"playbook --check --diff", []string{"ansible-playbook", "-i", "hosts.ini", "--check", "--diff", "-f", strconv.Itoa(n), "play.yml"}, 0},
	}
	medians := make([]time.Duration, len(ways))
	for i, w := range ways {
		var times []time.Duration
		for range b.rounds + 1 { // the first one brings the program, or makes the connections
			took, err := b.run(w.args, w.ok)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", w.name, err)
			}
			times = append(times, took)
		}
		times = times[1:]
		slices.Sort(times)
		medians[i] = times[len(times)/2]
	}
	for i, w := range ways[1:] {
		fmt.Printf("%2d servers: %s to compare: %.1f×\n", n, w.name, medians[i+1].Seconds()/medians[0].Seconds())
	}
	return medians, nil
}

func (b *bench) run(args []string, ok int) (time.Duration, error) {
	cmd := exec.CommandContext(b.ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Env = b.dir, b.environ()
	start := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(start)
	if err != nil && cmd.ProcessState.ExitCode() != ok {
		return 0, fmt.Errorf("%w: %s", err, tail(out))
	}
	return took, nil
}

func (b *bench) environ() []string {
	home := filepath.Join(b.dir, "home")
	ssh := "-F none -o UserKnownHostsFile=" + home + "/.ssh/known_hosts -o IdentityFile=" + home + "/.ssh/id_ed25519" +
		" -o ControlMaster=auto -o ControlPersist=60s -o ControlPath=" + b.dir + "/%C"
	return append(os.Environ(), "HOME="+home, "ANSIBLE_SSH_ARGS="+ssh, "ANSIBLE_HOST_KEY_CHECKING=True", "SSH_AUTH_SOCK=", "LC_ALL=C.UTF-8",
		"ANSIBLE_PIPELINING=True", "PATH=/usr/bin:"+os.Getenv("PATH"))
}

func tail(out []byte) string { return string(out[max(0, len(out)-2000):]) }

// wire measures the network traffic when nothing differs, and when one file
// differs.
func (b *bench) wire(adamant string, servers []*sshd.Server) error {
	var sent [2]int64
	for i := range sent {
		if i == 1 {
			servers[0].Exec("sh", "-c", "echo other >/etc/greeting")
		}
		before, err := received()
		if err != nil {
			return err
		}
		cmd := exec.CommandContext(b.ctx, adamant, "servers", "compare", "-i", "hosts.ini")
		cmd.Dir, cmd.Env = b.dir, b.environ()
		var exit *exec.ExitError
		if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
			return err
		}
		after, err := received()
		if err != nil {
			return err
		}
		sent[i] = after - before
	}
	fmt.Printf("bytes from each of %d servers: %d if all are equal, %d if one file differs\n", len(servers), sent[0]/int64(len(servers)), sent[1]/int64(len(servers)))
	return nil
}

// received returns the number of bytes that came over the links of labs.
func received() (int64, error) {
	files, err := filepath.Glob("/sys/class/net/adm-sshd*/statistics/rx_bytes")
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return 0, err
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// simulate compares many servers that are copies of one snapshot, one of them
// edited.
func (b *bench) simulate(adamant string, n int) error {
	if _, err := b.run([]string{adamant, "servers", "snapshot", "-i", "hosts.ini", "web-2", "--out", "web-2.snapshot"}, 0); err != nil {
		return err
	}
	var peers []*facts.Peer
	for i := range n {
		f, err := os.Open(filepath.Join(b.dir, "web-2.snapshot"))
		if err != nil {
			return err
		}
		s, err := facts.ReadSnapshot(f)
		f.Close()
		if err != nil {
			return err
		}
		if i == n/2 {
			s.Summary.Digest = "edited"
			s.Dirs["/"] = append(s.Dirs["/"], facts.Node{Name: "zz-edited", Kind: "regular file"})
		}
		p, end, err := s.Peer(b.ctx, fmt.Sprintf("web-%d", i+1))
		if err != nil {
			return err
		}
		defer end()
		peers = append(peers, p)
	}
	start := time.Now()
	c, err := compare.Compare(b.ctx, peers, nil)
	if err != nil {
		return err
	}
	if len(c.Differences) != 1 {
		return fmt.Errorf("%d differences between simulated servers, want 1", len(c.Differences))
	}
	fmt.Printf("%d simulated servers, one edited: compared in %v, without the network and the scans\n", n, time.Since(start).Round(time.Millisecond))
	return nil
}
