package reach

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/mounts"
	"github.com/adamant-sh/adamant/internal/fs/rootfs"
)

// Two readings of one machine differ in nothing: what changes by itself is no part of the
// state.
func TestReadTwice(t *testing.T) {
	root, err := rootfs.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	first, err := Read(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	if len(first.Network.Links) == 0 || len(first.Network.Routes) == 0 || len(first.Sysctls) < 100 || len(first.Mounts) == 0 || len(first.Nodes) == 0 {
		t.Errorf("got %d links, %d routes, %d settings, %d mounts and %d nodes", len(first.Network.Links), len(first.Network.Routes),
			len(first.Sysctls), len(first.Mounts), len(first.Nodes))
	}
	// Other tests on this machine add and remove links and mounts, but not the loopback's.
	if left := first.Difference(first); left != nil {
		t.Errorf("a state differs from itself: %q", left)
	}
}

func TestParseUnits(t *testing.T) {
	got := parseUnits(`Type=notify
Id=ssh.service
ActiveState=active
FreezerState=frozen
StateChangeTimestampMonotonic=42
InvocationID=aa
TriggeredBy=ssh.socket

Id=user@0.service
ActiveState=active

Id=dev-sda.device
ActiveState=active

Id=adamant-change-1.service
ActiveState=active

Id=ssh.socket
ActiveState=inactive
`)
	want := map[string]unit{
		"ssh.service": {Active: "active", Invocation: "aa", Changed: "42", Frozen: true, Triggered: true},
		"ssh.socket":  {Active: "inactive"},
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Error(diff)
	}
}

func TestPlanUnits(t *testing.T) {
	active := unit{Active: "active", Invocation: "1", Changed: "1"}
	before := map[string]unit{
		"stopped.service": active, "failed.service": active, "frozen.service": active, "again.service": active, "dbus.service": active,
		"same.service": active, "started.service": {Active: "inactive"}, "booting.service": {Active: "activating"}, "multi-user.target": active,
	}
	now := map[string]unit{
		"stopped.service": {Active: "inactive"}, "failed.service": {Active: "failed"}, "frozen.service": {Active: "active", Invocation: "1", Changed: "1", Frozen: true},
		"again.service": {Active: "active", Invocation: "2", Changed: "1"}, "dbus.service": {Active: "active", Invocation: "2"}, "same.service": active,
		"started.service": active, "booting.service": active, "new.timer": active, "rescue.target": active,
		"triggered.service": {Active: "active", Triggered: true}, "multi-user.target": {Active: "inactive"},
	}
	want := unitPlan{
		thaw: []string{"frozen.service"}, stop: []string{"new.timer", "started.service"},
		start: []string{"failed.service", "multi-user.target", "stopped.service"}, refresh: []string{"again.service"},
	}
	if diff := cmp.Diff(planUnits(before, now), want, cmp.AllowUnexported(unitPlan{})); diff != "" {
		t.Error(diff)
	}
}

// A table of the older iptables that was not in use gets no rules and accepts everything.
func TestLegacyScript(t *testing.T) {
	before := "*filter\n:INPUT DROP\n-A INPUT -i lo -j ACCEPT\nCOMMIT\n"
	now := "*raw\n:PREROUTING DROP\n:own -\n-A PREROUTING -p tcp -j DROP\nCOMMIT\n*filter\n:INPUT ACCEPT\nCOMMIT\n"
	want := before + "*raw\n:PREROUTING ACCEPT\nCOMMIT\n"
	if diff := cmp.Diff(legacyScript(before, now), want); diff != "" {
		t.Error(diff)
	}
	if got := rulesOnly(want); got != before {
		t.Errorf("got %q, want only the table that has an effect", got)
	}
}

func TestMountDifference(t *testing.T) {
	root := mounts.Mount{Point: "/", Device: "8:1", Root: "/", Type: "ext4", Options: "rw", SuperOptions: "rw,errors=remount-ro"}
	data := mounts.Mount{Point: "/data", Device: "8:2", Root: "/", Type: "xfs", Options: "rw,noexec", SuperOptions: "rw"}
	over := mounts.Mount{Point: "/etc/ssh", Device: "0:99", Root: "/", Type: "tmpfs", Options: "rw", SuperOptions: "rw"}
	readOnly := root
	readOnly.SuperOptions = "ro,errors=remount-ro"
	got := mountDifference([]mounts.Mount{root, data}, []mounts.Mount{readOnly, over})
	want := []string{"mount /: options", "mount /data: missing", "mount /etc/ssh: added"}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Error(diff)
	}
}

// A link that was created again has another index, in headers and in attributes.
func TestMovedObjects(t *testing.T) {
	route := make(object, unix.SizeofRtMsg)
	route = binary.NativeEndian.AppendUint16(route, 8)
	route = binary.NativeEndian.AppendUint16(route, unix.RTA_OIF)
	route = binary.NativeEndian.AppendUint32(route, 7)
	moved := routes.moved(route, map[uint32]uint32{7: 9})
	if got := number(moved.attribute(unix.SizeofRtMsg, unix.RTA_OIF)); got != 9 {
		t.Errorf("got a route over link %d, want 9", got)
	}
	if got := number(route.attribute(unix.SizeofRtMsg, unix.RTA_OIF)); got != 7 {
		t.Errorf("the original has link %d, want 7", got)
	}
}

func TestSubtractCountsCopies(t *testing.T) {
	a, b := object("a"), object("b")
	got := subtract([]object{a, a, b}, []object{a})
	if !slices.EqualFunc(got, []object{a, b}, func(x, y object) bool { return string(x) == string(y) }) {
		t.Errorf("got %q", got)
	}
}

// The kernel's messages are well-formed, but recorded states are files.
func FuzzObject(f *testing.F) {
	f.Add([]byte{8, 0, 1, 0, 1, 2, 3, 4}, uint16(1))
	f.Add([]byte{255, 255, 1, 0}, uint16(1))
	f.Add([]byte{0, 0, 0, 0}, uint16(0))
	f.Fuzz(func(t *testing.T, b []byte, kind uint16) {
		o := append(make(object, unix.SizeofRtMsg), b...)
		if v := o.attribute(unix.SizeofRtMsg, kind); len(v) > len(b) {
			t.Errorf("got %d bytes of %d", len(v), len(b))
		}
		n := routes.normal(o)
		if again := routes.normal(n); string(again) != string(n) {
			t.Errorf("%x is %x after a second time", n, again)
		}
		_ = routes.describe(routes.moved(o, map[uint32]uint32{1: 2}), nil)
	})
}
