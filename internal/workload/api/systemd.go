package api

import (
	"cmp"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

// Run serves until ctx ends or serving fails, and reports this to the service
// manager. It calls ready once it serves, and ending when ctx has ended. The
// caller must still Close the server.
func (s *Server) Run(ctx context.Context, ready, ending func()) error {
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	ready()
	notifySystemd("READY=1")
	defer notifySystemd("STOPPING=1")
	select {
	case <-s.stopped:
		ending()
		return nil
	case <-ctx.Done():
		ending()
		return nil
	case err := <-served:
		return err
	}
}

// notifySystemd reports a state of the daemon, such as READY=1, to the service
// manager if there is one; see sd_notify(3).
func notifySystemd(state string) {
	c, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		return
	}
	defer c.Close()
	c.Write([]byte(state))
}

// supervisedBy returns the name of the systemd unit that would start this daemon again, or "".
func supervisedBy() string {
	if os.Getenv("NOTIFY_SOCKET") == "" {
		return ""
	}
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "adamant.service"
	}
	unit := filepath.Base(strings.TrimSpace(string(groups)))
	if !strings.HasSuffix(unit, ".service") {
		unit = ""
	}
	return cmp.Or(unit, "adamant.service")
}

// unitTemplate is a systemd unit that starts the daemon with the machine.
// KillMode is process because the pods and their runtime are its children and
// must outlive it.
var unitTemplate = template.Must(template.New("unit").Parse(`[Unit]
Description=Adamant keeps the declared workloads running
Documentation=https://github.com/adamant-sh/adamant
After=network-online.target
Wants=network-online.target

[Service]
Type=notify
ExecStart={{.Program}} serve{{range .Flags}} {{.}}{{end}}
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=1
KillMode=process
Delegate=yes
OOMScoreAdjust=-999
LimitNOFILE=1048576
TasksMax=infinity

[Install]
WantedBy=multi-user.target
`))

// WriteSystemdUnit writes a systemd unit for the daemon, which a program runs with
// some flags.
func WriteSystemdUnit(w io.Writer, program string, flags []string) error {
	return unitTemplate.Execute(w, map[string]any{"Program": program, "Flags": flags})
}
