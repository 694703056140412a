package main

import (
	"context"

	"github.com/adamant-sh/adamant/internal/servers/change"
	visit "github.com/adamant-sh/adamant/internal/servers/connect"
	"github.com/adamant-sh/adamant/internal/servers/facts"
	"github.com/adamant-sh/adamant/internal/servers/inventory"
	"github.com/adamant-sh/adamant/internal/servers/waves"
)

// serverFleet is how updates reach servers.
type serverFleet struct {
	app     *app
	which   *which
	hosts   []inventory.Host
	options visit.Options
}

func (a *app) newServerFleet(w *which, hosts []inventory.Host) (*serverFleet, error) {
	o, err := w.visits(a)
	return &serverFleet{a, w, hosts, o}, err
}

func (f *serverFleet) Change(ctx context.Context, i int, job change.Job) (change.State, error) {
	return visit.Change(ctx, f.hosts[i], f.options, job, nil)
}

func (f *serverFleet) Revert(ctx context.Context, i int, id, why string) (change.State, error) {
	return visit.Revert(ctx, f.hosts[i], f.options, id, why)
}

func (f *serverFleet) Compare(ctx context.Context, which []int) (waves.Inspection, error) {
	var hosts []inventory.Host
	for _, i := range which {
		hosts = append(hosts, f.hosts[i])
	}
	look := waves.Inspection{Packages: map[string]map[string][]facts.InstalledPackage{}}
	var err error
	look.Comparison, err = f.which.compare(ctx, f.app, hosts, f.options, &yardstick{}, func(p *facts.Peer) {
		look.Packages[p.Name] = p.Packages()
	})
	return look, err
}
