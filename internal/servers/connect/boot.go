package connect

import (
	"context"
	"fmt"

	"github.com/adamant-sh/adamant/internal/servers/boundedjson"
	"github.com/adamant-sh/adamant/internal/servers/change"
	"github.com/adamant-sh/adamant/internal/servers/inventory"
)

// Boot asks a server for its boot, over a new connection. With the id of a boot in reboot,
// the server reboots unless it did so since that boot.
func Boot(ctx context.Context, h inventory.Host, o Options, reboot string) (change.Boot, error) {
	var b change.Boot
	l, err := Connect(ctx, h, o)
	if err != nil {
		return b, err
	}
	defer l.Close()
	args := []string{"boot"}
	if reboot != "" {
		args = append(args, "--reboot", reboot)
	}
	text, err := l.Ask(ctx, args)
	if err != nil {
		return b, err
	}
	if err := boundedjson.Unmarshal(text, &b); err != nil {
		return b, fmt.Errorf("%w: %w", errAnswer, err)
	}
	if n := len(b.Units); b.ID == "" || n > maxUnits {
		return b, fmt.Errorf("%w: its boot has the id %.80q and %d units", errAnswer, b.ID, n)
	}
	b.ID, b.Unknown, b.NoUnits, b.Refused = bounded(b.ID), bounded(b.Unknown), bounded(b.NoUnits), bounded(b.Refused)
	for _, list := range [][]string{b.Units, b.Reasons} {
		for i := range list {
			list[i] = bounded(list[i])
		}
	}
	b.Reasons = b.Reasons[:min(len(b.Reasons), maxReasons)]
	return b, nil
}

// Bounds of the lists that a server sends about its boot.
const (
	maxUnits   = 10_000
	maxReasons = 20
)
