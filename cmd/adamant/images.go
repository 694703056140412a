package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/text"
)

func newImagesCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "images",
		Short: "List the images that are loaded, or remove some",
		Example: `  adamant images
  adamant images -o json
  adamant images rm nginx:1.27
  adamant images prune`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withEngine(cmd.Context(), func(e *pod.Engine) error {
				all, err := e.Images(cmd.Context())
				if err != nil {
					return err
				}
				return a.print(report.NewImageList(all))
			})
		},
	}
	withFormats(cmd, report.FormatWide, report.FormatName)
	cmd.AddCommand(&cobra.Command{
		Use:     "rm IMAGE...",
		Short:   "Remove names of images, and images without a name left",
		Example: `  adamant images rm nginx:1.27`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withEngine(cmd.Context(), func(e *pod.Engine) error {
				for _, ref := range args {
					if err := e.RemoveImage(cmd.Context(), ref); err != nil {
						return err
					}
					fmt.Fprintln(a.out, ref)
				}
				return nil
			})
		},
	}, newImagesPruneCommand(a))
	return cmd
}

func newImagesPruneCommand(a *app) *cobra.Command {
	var o pod.PruneOptions
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Remove images that nothing uses",
		Long: `Prune removes images without a name, because a later image has it, and with
--all also those with names. Images of pods, also of pods that have ended, and
of generations that serve may run again are never removed. Nor should a learn or
prove be running: between two trials it has no pod.

The size is that of compressed layers, of which other images may have some.`,
		Example: `  adamant images prune
  adamant images prune --all --older-than 168h --dry-run`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.OlderThan < 0 {
				return usagef("--older-than %s is less than nothing", o.OlderThan)
			}
			return a.withEngine(cmd.Context(), func(e *pod.Engine) error {
				gone, err := e.PruneImages(cmd.Context(), o)
				if err != nil && len(gone) == 0 {
					return err
				}
				return errors.Join(a.print(report.NewPrunedImages(gone, o.Dry)), err)
			})
		},
	}
	cmd.Flags().BoolVar(&o.All, "all", false, "also remove images with a name")
	cmd.Flags().DurationVar(&o.OlderThan, "older-than", 0, "only those that were loaded or pulled so long ago")
	cmd.Flags().BoolVar(&o.Dry, "dry-run", false, "only print what would be removed")
	withFormats(cmd, report.FormatName)
	return cmd
}

func newLoadCommand(a *app) *cobra.Command {
	var as string
	cmd := &cobra.Command{
		Use:   "load SOURCE...",
		Short: "Load images from OCI layouts, archives or a registry",
		Long: `Load takes images from an OCI layout (a directory, or an archive of one), from
a docker archive as docker save writes it, also compressed, from standard input
with -, or from a registry by their reference. Digests and sizes are verified;
archives that reach out of the image's root are refused.`,
		Example: `  adamant load nginx.tar
  docker save web:2 | adamant load -
  adamant load layout/ --as nginx:latest
  adamant load registry.example/web:2`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if as != "" && len(args) != 1 {
				return usagef("--as names one image, but %d sources are given", len(args))
			}
			return a.withEngine(ctx, func(e *pod.Engine) error {
				var all []pod.Image
				for _, source := range args {
					images, err := a.loadOne(ctx, e, source, as)
					if err != nil {
						return err
					}
					all = append(all, images...)
				}
				return a.print(report.LoadedImages{ImageList: report.NewImageList(all)})
			})
		},
	}
	cmd.Flags().StringVar(&as, "as", "", "give the image this name too")
	withFormats(cmd, report.FormatName)
	return cmd
}

// loadOne loads the images of one source. With a name, the source must have one image.
func (a *app) loadOne(ctx context.Context, e *pod.Engine, source, as string) ([]pod.Image, error) {
	p := a.log.Start("loading "+source, 0, text.Bytes)
	defer p.End()
	images, err := e.LoadSource(ctx, source, a.in, pod.LoadOptions{Name: as, Progress: p.Set})
	var notOne *pod.NotOneImageError
	if errors.As(err, &notOne) {
		err = usagef("--as names one image, but %s holds %d", source, notOne.Images)
	}
	return images, err
}
