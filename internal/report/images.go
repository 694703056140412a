package report

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/image"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/text"
)

// ImageList is the document of `images -o json` and `load -o json`.
type ImageList struct {
	document.Header
	Images []Image `json:"images"`
	// DryRun is set by images prune --dry-run: the images would be removed.
	DryRun bool `json:"dryRun,omitempty"`
}

// An Image is an image that is loaded.
type Image struct {
	Names    []string  `json:"names"`
	ID       string    `json:"id"`     // digest of the configuration
	Digest   string    `json:"digest"` // digest of the manifest
	Bytes    int64     `json:"bytes"`
	Created  time.Time `json:"created"`
	Platform string    `json:"platform"`
}

// NewImageList returns the document of images.
func NewImageList(images []pod.Image) ImageList {
	list := ImageList{Header: document.NewHeader(document.ImageList), Images: []Image{}}
	for _, i := range images {
		list.Images = append(list.Images, Image{
			Names: i.Names, ID: i.ID.String(), Digest: i.Digest.String(), Bytes: i.Size, Created: i.Created, Platform: i.Platform,
		})
	}
	return list
}

// digestWidth is the length of the beginning of a digest that is printed.
const digestWidth = len("sha256:") + 12

// WriteText implements Text.
func (l ImageList) WriteText(w io.Writer, _ bool) error {
	return l.writeTable(w, func(digest string) string { return digest })
}

func (l ImageList) writeTable(w io.Writer, shorten func(digest string) string) error {
	table := text.NewTable(w)
	fmt.Fprintln(table, "NAME\tDIGEST\tSIZE")
	for name, i := range l.byName {
		fmt.Fprintf(table, "%s\t%s\t%s\n", name, shorten(fmt.Sprintf("%.*s", digestWidth, i.Digest)), text.Bytes(i.Bytes))
	}
	return table.Flush()
}

// byName yields each name of each image.
func (l ImageList) byName(yield func(name string, i Image) bool) {
	for _, i := range l.Images {
		names := i.familiarNames()
		if len(names) == 0 {
			names = []string{"<none>"}
		}
		for _, name := range names {
			if !yield(name, i) {
				return
			}
		}
	}
}

// WriteWide writes more columns than WriteText, and whole digests.
func (l ImageList) WriteWide(w io.Writer) error {
	table := text.NewTable(w)
	fmt.Fprintln(table, "NAME\tDIGEST\tID\tSIZE\tPLATFORM\tCREATED")
	for name, i := range l.byName {
		created := "-"
		if !i.Created.IsZero() {
			created = i.Created.UTC().Format(time.DateOnly)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", name, i.Digest, i.ID, text.Bytes(i.Bytes), i.Platform, created)
	}
	return table.Flush()
}

// Names returns the references of the images, and the IDs of those without.
func (l ImageList) Names() []Name {
	var names []Name
	for _, i := range l.Images {
		references := i.familiarNames()
		if len(references) == 0 {
			references = []string{i.ID}
		}
		for _, r := range references {
			names = append(names, Name{Name: r})
		}
	}
	return names
}

// writeFitted shortens the digests, or puts the names on lines of their own, if the
// table is wider than the terminal.
func (l ImageList) writeFitted(w io.Writer, color bool, columns int) error {
	for _, shorten := range []func(string) string{
		func(digest string) string { return digest },
		func(digest string) string { return strings.TrimPrefix(digest, "sha256:") },
	} {
		var table strings.Builder
		if err := l.writeTable(&table, shorten); err != nil {
			return err
		}
		if !slices.ContainsFunc(strings.Split(table.String(), "\n"), func(line string) bool { return text.Width(line) > columns }) {
			_, err := io.WriteString(w, table.String())
			return err
		}
	}
	b := bufio.NewWriter(w)
	for name, i := range l.byName {
		fmt.Fprintf(b, "%s\n%s\n", name, text.Wrap(fmt.Sprintf("    %.*s  %s", digestWidth, i.Digest, text.Bytes(i.Bytes)), columns))
	}
	return b.Flush()
}

// LoadedImages is an ImageList of images that were just loaded. As text it has
// one line for each image.
type LoadedImages struct {
	ImageList
}

// WriteText implements Text.
func (l LoadedImages) WriteText(w io.Writer, _ bool) error {
	b := bufio.NewWriter(w)
	for _, i := range l.Images {
		fmt.Fprintf(b, "%s  %.*s  %s\n", strings.Join(i.familiarNames(), " "), digestWidth, i.Digest, text.Bytes(i.Bytes))
	}
	return b.Flush()
}

// PrunedImages is an ImageList of images that were removed, or would be. As text it has
// their number and size, too.
type PrunedImages struct {
	ImageList
}

// NewPrunedImages returns the document of images that were removed, or would be.
func NewPrunedImages(images []pod.Image, dry bool) PrunedImages {
	l := PrunedImages{NewImageList(images)}
	l.DryRun = dry
	return l
}

// WriteText implements Text.
func (l PrunedImages) WriteText(w io.Writer, color bool) error {
	if len(l.Images) > 0 {
		if err := l.ImageList.WriteText(w, color); err != nil {
			return err
		}
	}
	var bytes int64
	for _, i := range l.Images {
		bytes += i.Bytes
	}
	what := "removed"
	if l.DryRun {
		what = "would be removed"
	}
	_, err := fmt.Fprintf(w, "%s %s: up to %s\n", text.Count(len(l.Images), "image"), what, text.Bytes(bytes))
	return err
}

func (l PrunedImages) writeFitted(w io.Writer, color bool, columns int) error {
	return wrap(l, w, color, columns)
}

func (l LoadedImages) writeFitted(w io.Writer, color bool, columns int) error {
	return wrap(l, w, color, columns)
}

// familiarNames returns the names as people write them, "nginx:latest".
func (i Image) familiarNames() []string {
	var names []string
	for _, name := range i.Names {
		if ref, err := image.ParseReference(name); err == nil {
			name = ref.Familiar()
		}
		names = append(names, name)
	}
	return names
}
