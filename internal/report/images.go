package report

import (
	"time"

	"github.com/adamant-sh/adamant/internal/document"
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
