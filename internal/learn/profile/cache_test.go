package profile

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestByteCodeIsOneLine checks that hundreds of byte code files take one line
// for each directory, and are no evidence.
func TestByteCodeIsOneLine(t *testing.T) {
	trace := traceOf(t, `mkdir /usr/lib/app/__pycache__ python3
create /usr/lib/app/__pycache__/a.cpython-311.pyc.123 python3
rename /usr/lib/app/__pycache__/a.cpython-311.pyc.123 -> /usr/lib/app/__pycache__/a.cpython-311.pyc python3
create /usr/lib/app/__pycache__/b.cpython-311.pyc.456 python3
create /tmp/tmpzunicgby python3
unlink /tmp/tmpoeabh26h python3`)
	rootfs := Rootfs{Tree: imageOf(t, debian)}
	c := Derive(Input{Traces: traces(trace), Rootfs: rootfs})
	var spared, writes []string
	for _, w := range c.Spared {
		spared = append(spared, w.Path)
	}
	for _, w := range c.Writes {
		writes = append(writes, w.Path)
	}
	if d := cmp.Diff(spared, []string{"/usr/lib/app/__pycache__/*"}); d != "" {
		t.Errorf("spared (-got +want):\n%s", d)
	}
	if d := cmp.Diff(writes, []string{"/tmp/*"}); d != "" {
		t.Errorf("writes (-got +want):\n%s", d)
	}
	c, _ = Widen(c, rootfs, failures(t, "create /usr/lib/app/__pycache__/c.pyc.1 python3 !EROFS"))
	for _, f := range c.Evidence {
		if isDispensable(f.Path) {
			t.Errorf("evidence %v", f)
		}
	}
}
