package main

import (
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/image"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/report"
)

func newImagesCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "images",
		Short: "List the images that are loaded, or remove some",
		Example: `  adamant images
  adamant images -o json
  adamant images rm nginx:1.27`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			e, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer e.Close()
			all, err := e.Images(cmd.Context())
			if err != nil {
				return err
			}
			return a.printImages(all)
		},
	}
	cmd.AddCommand(&cobra.Command{
		Use:     "rm IMAGE...",
		Short:   "Remove names of images, and images without a name left",
		Example: `  adamant images rm nginx:1.27`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer e.Close()
			for _, ref := range args {
				if err := e.RemoveImage(cmd.Context(), ref); err != nil {
					return err
				}
				fmt.Fprintln(a.out, ref)
			}
			return nil
		},
	})
	return cmd
}

func (a *app) printImages(all []pod.Image) error {
	if a.json() {
		list := report.ImageList{Header: document.NewHeader(document.ImageList), Images: []report.Image{}}
		for _, i := range all {
			list.Images = append(list.Images, report.Image{
				Names: i.Names, ID: i.ID.String(), Digest: i.Digest.String(), Bytes: i.Size, Created: i.Created, Platform: i.Platform,
			})
		}
		return a.printJSON(list)
	}
	w := tabwriter.NewWriter(a.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tDIGEST\tSIZE")
	for _, i := range all {
		names := i.Names
		if len(names) == 0 {
			names = []string{"<none>"}
		}
		for _, name := range names {
			fmt.Fprintf(w, "%s\t%.19s\t%s\n", familiar(name), i.Digest, size(i.Size))
		}
	}
	return w.Flush()
}

// familiar returns a reference as people write it.
func familiar(name string) string {
	ref, err := image.ParseReference(name)
	if err != nil {
		return name
	}
	return ref.Familiar()
}

// size formats a number of bytes: 1.5 MiB.
func size(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, prefixes := float64(n)/unit, "KMGTPE"
	for value >= unit && len(prefixes) > 1 {
		value, prefixes = value/unit, prefixes[1:]
	}
	return fmt.Sprintf("%.1f %ciB", value, prefixes[0])
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
			e, err := a.open(ctx)
			if err != nil {
				return err
			}
			defer e.Close()
			var all []pod.Image
			for _, source := range args {
				images, err := a.loadOne(cmd, e, source, as)
				if err != nil {
					return err
				}
				all = append(all, images...)
			}
			if a.json() {
				return a.printImages(all)
			}
			for _, i := range all {
				fmt.Fprintf(a.out, "%s  %.19s  %s\n", strings.Join(familiars(i.Names), " "), i.Digest, size(i.Size))
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&as, "as", "", "give the image this name too")
	return cmd
}

func (a *app) loadOne(cmd *cobra.Command, e *pod.Engine, source, as string) ([]pod.Image, error) {
	ctx := cmd.Context()
	p := a.startProgress("loading "+source, 0, size)
	defer p.end()
	o := pod.LoadOptions{Name: as, Progress: p.set}
	var images []pod.Image
	var err error
	switch _, missing := os.Stat(source); {
	case source == "-":
		images, err = e.LoadImagesFrom(ctx, a.in, o)
	case missing == nil:
		images, err = e.LoadImages(ctx, source, o)
	case looksLikeFile(source):
		return nil, missing
	default:
		var one pod.Image
		one, err = e.PullImage(ctx, source)
		images = []pod.Image{one}
	}
	if err != nil || as == "" {
		return images, err
	}
	if len(images) != 1 {
		return nil, usagef("--as names one image, but %s holds %d", source, len(images))
	}
	tagged, err := e.TagImage(ctx, images[0].ID.String(), as)
	return []pod.Image{tagged}, err
}

func looksLikeFile(s string) bool {
	return strings.HasPrefix(s, ".") || strings.HasPrefix(s, "/") || strings.HasSuffix(s, ".tar") || strings.HasSuffix(s, "gz")
}

func familiars(names []string) []string {
	var out []string
	for _, n := range names {
		out = append(out, familiar(n))
	}
	return out
}
