package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/servers/capture"
	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// A PartRequest asks for one part of this server.
type PartRequest struct {
	Part    string   // plan, layer, data, secrets or connections
	Name    string   // of the layer, or path of the data directory
	Root    string   // the server's root directory
	Data    []string // of a plan: directories that are data, beside those that are known
	Exclude []string // of a plan: paths that are left out
	Ports   []uint16 // of which connections are counted
}

// Part writes one part of this server to out and changes nothing. A layer, data and
// secrets are parts of a plan, which is read from in as JSON.
func Part(ctx context.Context, r PartRequest, in io.Reader, out io.Writer) error {
	root, err := rootfs.Open(r.Root)
	if err != nil {
		return fmt.Errorf("open the root: %w", err)
	}
	defer root.Close()
	switch r.Part {
	case "connections":
		n, err := facts.Connections(r.Ports)
		if err != nil {
			return err
		}
		fmt.Fprintln(out, n)
		return nil
	case "plan":
		o := capture.SurveyOptions{Live: r.Root == "/", Data: r.Data, Exclude: r.Exclude}
		if o.Live {
			o.Sockets = facts.Sockets()
		}
		p, err := capture.Survey(ctx, root, o)
		if err != nil {
			return err
		}
		return json.NewEncoder(out).Encode(p)
	}
	var p capture.Plan
	if err := json.NewDecoder(io.LimitReader(in, capture.MaxPlan)).Decode(&p); err != nil {
		return fmt.Errorf("read plan: %w", err)
	}
	switch r.Part {
	case "layer":
		return capture.WriteLayer(ctx, root, p, r.Name, out)
	case "data":
		unknown, err := capture.WriteData(ctx, root, p, r.Name, out)
		for _, u := range unknown {
			err = errors.Join(err, fmt.Errorf("%s: %w", u.Path, u.Err))
		}
		return err
	case "secrets":
		return capture.WriteSecrets(ctx, root, p, out)
	}
	return fmt.Errorf("%q is no part", r.Part)
}
