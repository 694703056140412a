package render

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/text"
)

// A HelmProgram is the helm in PATH. Its zero value looks for it when it is needed.
type HelmProgram struct {
	once    sync.Once
	path    string
	version string
	err     error

	maxRendered int // bytes of a chart's objects; maxRendered if it is 0
}

// Limits of one run of helm. A template can loop, and repeat a text without an end.
const (
	helmTimeout = time.Minute
	helmMemory  = 2 << 30 // bytes of its data
	maxRendered = 64 << 20
)

// Version returns the version of helm, "" if it was not used.
func (h *HelmProgram) Version() string { return h.version }

// find looks for helm and asks for its version.
func (h *HelmProgram) find(ctx context.Context) error {
	h.once.Do(func() {
		if h.path, h.err = exec.LookPath("helm"); h.err != nil {
			h.err = wrongf("install helm, or render it elsewhere: helm template DIR | adamant check -", "a chart of Helm, and helm is not in PATH")
			return
		}
		out, err := h.run(ctx, os.TempDir(), "version", "--template", "{{.Version}}")
		if err != nil {
			h.err = wrongf("helm 3 and 4 are supported", "%s version: %v", h.path, err)
			return
		}
		if h.version = text.FirstLine(strings.TrimSpace(string(out))); !strings.HasPrefix(h.version, "v3.") && !strings.HasPrefix(h.version, "v4.") {
			h.err = wrongf("helm 3 and 4 are supported", "%s has the version %q", h.path, h.version)
		}
	})
	return h.err
}

// template runs helm template on the copy of a chart, with more arguments.
func (h *HelmProgram) template(ctx context.Context, c *chart, more ...string) ([]byte, error) {
	if err := h.find(ctx); err != nil {
		return nil, err
	}
	o := c.options
	args := []string{"template", cmp.Or(o.Release, "release-name"), c.folder(c.temp), "--namespace", cmp.Or(o.Namespace, "default"), "--include-crds"}
	for i := range o.Values {
		args = append(args, "--values", c.valuesFile(i))
	}
	for _, set := range o.Set {
		args = append(args, "--set", set)
	}
	if o.KubeVersion != "" {
		args = append(args, "--kube-version", o.KubeVersion)
	}
	out, err := h.run(ctx, c.temp, append(args, more...)...)
	if err != nil && ctx.Err() == nil {
		return nil, c.explain(err)
	}
	return out, err
}

// run runs helm without plugins, configuration, cluster and network, and returns what it
// prints.
func (h *HelmProgram) run(ctx context.Context, temp string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, helmTimeout, fmt.Errorf("helm did not end within %v", helmTimeout))
	defer cancel()
	cmd := exec.CommandContext(ctx, h.path, args...)
	home := filepath.Join(temp, "home") // does not exist
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "TMPDIR=" + temp, "KUBECONFIG=" + filepath.Join(home, "kubeconfig"),
		"HELM_PLUGINS=" + filepath.Join(home, "plugins"), "HELM_CACHE_HOME=" + home, "HELM_CONFIG_HOME=" + home, "HELM_DATA_HOME=" + home,
		// Nothing listens there: schemas in archives could have it download others.
		"HTTP_PROXY=http://127.0.0.1:9", "HTTPS_PROXY=http://127.0.0.1:9", "NO_PROXY=",
		fmt.Sprintf("GOMEMLIMIT=%d", helmMemory/2),
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	most := cmp.Or(h.maxRendered, maxRendered)
	out, diagnostics := &bounded{limit: most, full: cancel}, &bounded{limit: 64 << 10}
	cmd.Stdout, cmd.Stderr = out, diagnostics
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	limited := limit(cmd.Process.Pid)
	if limited != nil {
		cancel()
	}
	err := cmd.Wait()
	switch {
	case limited != nil:
		return nil, fmt.Errorf("limit the resources of helm: %w", limited)
	case out.exceeded:
		return nil, fmt.Errorf("it renders to more than %d MiB", most>>20)
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, helmError{err, diagnostics.buffer.String()}
	}
	return out.buffer.Bytes(), nil
}

// limit limits the memory of a process, and its time on processors, so that it ends also if
// nobody is left to end it.
func limit(pid int) error {
	seconds := uint64(2 * helmTimeout / time.Second)
	for resource, most := range map[int]uint64{unix.RLIMIT_DATA: helmMemory, unix.RLIMIT_CPU: seconds} {
		err := unix.Prlimit(pid, resource, &unix.Rlimit{Cur: most, Max: most}, nil)
		if err != nil && !errors.Is(err, unix.ESRCH) { // which means that it has ended
			return err
		}
	}
	return nil
}

// A helmError is a failure of helm with what it printed.
type helmError struct {
	error
	text string
}

// A bounded keeps the beginning of what is written to it.
type bounded struct {
	buffer   bytes.Buffer // not embedded: its ReadFrom would have no bound
	limit    int
	exceeded bool
	full     func() // called when more is written
}

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	if room := b.limit - b.buffer.Len(); len(p) > room {
		b.exceeded = true
		b.buffer.Write(p[:room])
		if b.full != nil {
			b.full()
		}
		return len(p), nil
	}
	return b.buffer.Write(p)
}

// missingCharts matches the error of Helm for dependencies that are not in charts/.
var missingCharts = regexp.MustCompile(`found in Chart.yaml, but missing in charts/ directory: (.*)`)

// explain returns what helm says as an error with a hint.
func (c *chart) explain(err error) error {
	failed, ok := err.(helmError)
	if !ok {
		return err
	}
	said := strings.TrimSpace(failed.text)
	if i := strings.Index(said, "Error: "); i >= 0 {
		said = said[i+len("Error: "):] // warnings are before it
	}
	said, _, _ = strings.Cut(said, "\n\nUse --debug flag")
	said = strings.ReplaceAll(said, c.folder(c.temp), c.dir)
	switch m := missingCharts.FindStringSubmatch(said); {
	case m != nil:
		return wrongf("helm dependency build "+c.dir, "dependencies are not in charts/, and nothing is downloaded: %s", m[1])
	case strings.Contains(said, "out of memory") || strings.Contains(said, "cannot allocate memory"):
		return wrongf("", "it takes helm more than %d GiB of memory", helmMemory>>30)
	case said == "":
		return wrongf("", "helm: %v", failed.error)
	}
	said = strings.Join(strings.Fields(said), " ")
	var hint string
	if strings.Contains(said, "incompatible with Kubernetes") {
		hint = "--kube-version names the version of the cluster"
	} else if strings.Contains(said, "values") || strings.Contains(said, "nil pointer") || strings.Contains(said, "required") {
		hint = "--values FILE gives it values"
	}
	return manifest.FieldError{Detail: "helm: " + said, Hint: hint}
}
