package facts

import (
	"cmp"
	"context"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
)

// A Fact is a property of a server other than the content of its files.
type Fact struct {
	Section Section `json:"section"`
	Key     string  `json:"key"`
	Value   string  `json:"value"`
}

// A Section is the kind of a fact.
type Section string

// The sections, in the order in which a reader wants them.
const (
	System  Section = "system"  // release, kernel, architecture
	Package Section = "package" // name -> version
	// Diversion, StatOverride and Alternative are choices about the files of packages.
	Diversion    Section = "diversion"    // "file to other file" -> package, or local
	StatOverride Section = "statoverride" // file -> owner, group, mode
	Alternative  Section = "alternative"  // name -> file that was chosen by hand

	Service Section = "service" // unit -> enabled
	Running Section = "running" // unit -> its state
	Timer   Section = "timer"   // unit -> when
	Unit    Section = "unit"    // unit: setting -> value in a drop-in
	User    Section = "user"    // name -> number, group, home, shell
	Group   Section = "group"   // name -> number, members
	Sudoers Section = "sudoers" // rule -> where
	Cron    Section = "cron"    // job -> where
	SSH     Section = "ssh"     // keyword of sshd_config(5) -> arguments
	TLS     Section = "tls"     // file: keyword -> arguments
	Sysctl  Section = "sysctl"  // name -> value
	// SysctlFile holds the values that the next boot sets.
	SysctlFile Section = "sysctl.d" // name -> value
	// Runtime holds configuration below /run.
	Runtime  Section = "runtime"   // file -> text
	Mount    Section = "mount"     // mount point -> type, source, options
	Module   Section = "module"    // of the kernel
	Listener Section = "listening" // protocol and address -> program
)

// sections are all sections in that order.
var sections = []Section{System, Package, Diversion, StatOverride, Alternative, Service, Running, Timer, Unit, User, Group, Sudoers, Cron, SSH, TLS, Sysctl, SysctlFile, Runtime, Mount, Module, Listener}

// CompareKeys orders facts by section, in the order in which a reader wants them, and by
// key.
func CompareKeys(a, b Fact) int {
	return cmp.Or(slices.Index(sections, a.Section)-slices.Index(sections, b.Section), strings.Compare(a.Key, b.Key))
}

// Name returns how lists name the fact: "section key".
func (f Fact) Name() string { return string(f.Section) + " " + f.Key }

// Facts reads the facts of a root and, if it is that of the running machine, those of
// the kernel and of running programs. They are sorted by section and key. Of a section
// that is among the unknowns some facts may be missing.
func Facts(ctx context.Context, root *rootfs.Root, live bool) ([]Fact, []Unknown) {
	return startFacts(ctx, root, live)()
}

// startFacts starts the programs that report facts, so that they run while the caller
// reads files. The caller must call the returned function, which reads the other
// facts.
func startFacts(ctx context.Context, root *rootfs.Root, live bool) (end func() ([]Fact, []Unknown)) {
	from := rootFiles{root}
	m := machine{arch: runtime.GOARCH}
	if live {
		m.run, m.booted = runLocal, isBooted(root)
	}
	f := &collector{}
	wait := f.ask(ctx, from, m)
	return func() ([]Fact, []Unknown) {
		if live {
			k := readKernel()
			m.kernel = &k
		}
		f.read(ctx, from, m)
		wait()
		return f.all(ctx)
	}
}

// A machine is the source of facts that are not in files.
type machine struct {
	arch   string  // as GOARCH
	kernel *Kernel // nil if the machine is not running
	run    runFunc // nil if no program can be run
	booted bool    // with systemd
}

func facts(ctx context.Context, from files, m machine) ([]Fact, []Unknown) {
	f := &collector{}
	wait := f.ask(ctx, from, m)
	f.read(ctx, from, m)
	wait()
	return f.all(ctx)
}

// A collector collects facts that are read in parallel.
type collector struct {
	lock     sync.Mutex
	facts    []Fact
	unknowns []Unknown
}

func (f *collector) add(facts []Fact, unknowns []Unknown) {
	f.lock.Lock()
	defer f.lock.Unlock()
	f.facts, f.unknowns = append(f.facts, facts...), append(f.unknowns, unknowns...)
}

// ask starts the programs that report facts. The returned function waits for them.
func (f *collector) ask(ctx context.Context, from files, m machine) (wait func()) {
	var asked sync.WaitGroup
	asked.Go(func() { f.add(readRunning(ctx, m)) })
	asked.Go(func() { f.add(readRPM(ctx, from, m.run)) })
	return asked.Wait
}

// read adds the facts from files and the kernel.
func (f *collector) read(ctx context.Context, from files, m machine) {
	f.add([]Fact{{System, "architecture", m.arch}}, nil)
	for _, read := range []func(files) []Fact{
		systemFacts, packageFacts, adminFacts, serviceFacts, timerFacts, unitFacts, userFacts, groupFacts, cronFacts, sysctlFileFacts, runtimeFacts,
	} {
		if ctx.Err() != nil {
			return
		}
		f.add(read(from), nil)
	}
	f.add(sudoFacts(from))
	f.add(sshFacts(from))
	f.add(tlsFacts(from))
	if m.kernel != nil {
		f.add(m.kernel.facts(m.arch), nil)
	}
}

// all returns the facts in order.
func (f *collector) all(ctx context.Context) ([]Fact, []Unknown) {
	if ctx.Err() != nil {
		return nil, nil
	}
	return joinEqualKeys(withoutOnDemand(f.facts)), f.unknowns
}

// joinEqualKeys sorts facts, and makes those with the same section and key one fact with
// all values. Such facts exist: several mounts at one point, sockets of two programs at
// one address, or a name that is twice in passwd(5). Otherwise one of them would hide
// the changes of another.
func joinEqualKeys(facts []Fact) []Fact {
	slices.SortStableFunc(facts, CompareKeys)
	var list []Fact
	for len(facts) > 0 {
		first := facts[0]
		var values []string
		for len(facts) > 0 && facts[0].Section == first.Section && facts[0].Key == first.Key {
			values, facts = append(values, facts[0].Value), facts[1:]
		}
		list = append(list, Fact{first.Section, first.Key, strings.Join(values, " | ")})
	}
	return list
}

// IsLiveOnly reports whether a fact exists only on a machine that is running.
func IsLiveOnly(f Fact) bool {
	return slices.Contains([]Section{Running, Sysctl, Mount, Module, Listener}, f.Section) || f.Section == System && f.Key == "kernel"
}

// systemFacts reads os-release(5).
func systemFacts(from files) []Fact {
	var facts []Fact
	for _, line := range lines(from, "/etc/os-release") {
		key, value, _ := strings.Cut(line, "=")
		if key == "PRETTY_NAME" {
			facts = append(facts, Fact{System, "release", strings.Trim(value, `"'`)})
		}
	}
	if l := lines(from, "/etc/debian_version"); len(l) > 0 {
		facts = append(facts, Fact{System, "debian", l[0]})
	}
	return facts
}

// userFacts reads /etc/passwd and, from /etc/shadow, whether users have a password.
func userFacts(from files) []Fact {
	locked := map[string]string{}
	for _, f := range records(from, "/etc/shadow") {
		if len(f) > 1 {
			locked[f[0]] = password(f[1])
		}
	}
	var facts []Fact
	for _, f := range records(from, "/etc/passwd") {
		if len(f) < 7 {
			continue
		}
		value := "uid " + f[2] + ", gid " + f[3] + ", home " + f[5] + ", shell " + f[6]
		if p := locked[f[0]]; p != "" {
			value += ", " + p
		}
		facts = append(facts, Fact{User, f[0], value})
	}
	return facts
}

// password returns whether a field of shadow(5) permits a login. It reveals nothing
// about the password.
func password(field string) string {
	switch {
	case field == "":
		return "NO PASSWORD NEEDED"
	case strings.HasPrefix(field, "!") || strings.HasPrefix(field, "*"):
		return "no password"
	}
	return "has a password"
}

func groupFacts(from files) []Fact {
	var facts []Fact
	for _, f := range records(from, "/etc/group") {
		if len(f) < 4 {
			continue
		}
		members := strings.Split(f[3], ",")
		slices.Sort(members)
		facts = append(facts, Fact{Group, f[0], strings.TrimSpace("gid " + f[2] + " " + strings.Join(members, ","))})
	}
	return facts
}
