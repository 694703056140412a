package report

import (
	"bufio"
	"fmt"
	"io"
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

// WriteText implements Text.
func (l ImageList) WriteText(w io.Writer, _ bool) error {
	table := text.NewTable(w)
	fmt.Fprintln(table, "NAME\tDIGEST\tSIZE")
	for _, i := range l.Images {
		names := i.familiarNames()
		if len(names) == 0 {
			names = []string{"<none>"}
		}
		for _, name := range names {
			fmt.Fprintf(table, "%s\t%.19s\t%s\n", name, i.Digest, text.Bytes(i.Bytes))
		}
	}
	return table.Flush()
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
		fmt.Fprintf(b, "%s  %.19s  %s\n", strings.Join(i.familiarNames(), " "), i.Digest, text.Bytes(i.Bytes))
	}
	return b.Flush()
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
