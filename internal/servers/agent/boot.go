package agent

import (
	"context"
	"encoding/json"
	"io"

	"github.com/adamant-sh/adamant/internal/servers/change"
)

// Boot writes a description of this server's boot to out. With the id of a boot, it only
// reboots the server unless that was done since then.
func Boot(ctx context.Context, reboot string, out io.Writer) error {
	if reboot != "" {
		b := change.Boot{ID: reboot}
		if err := change.RequestReboot(ctx, reboot); err != nil {
			b.Refused = err.Error()
		}
		return json.NewEncoder(out).Encode(b)
	}
	b, err := change.ReadBoot(ctx)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(b)
}
