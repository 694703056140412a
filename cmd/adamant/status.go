package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/workload/api"
	"github.com/adamant-sh/adamant/internal/workload/local"
)

func newStatusCommand(a *app) *cobra.Command {
	return a.on("status", "Show a workload with its instances, images and addresses", `  adamant status web
  adamant status shop/deploy/web -o json`, func(_ context.Context, _ *api.Client, s local.Status) error {
		return a.print(local.NewDocument(s))
	})
}
