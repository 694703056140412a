package image

import (
	"context"
	"fmt"
	"maps"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// opaqueXattr marks a directory that hides those of the layers below.
const opaqueXattr = "trusted.overlay.opaque"

// A Layer is one layer of an image as it is unpacked into a directory of its own for
// overlayfs: whiteouts are devices 0:0, and opaque directories have an attribute.
type Layer struct {
	Index  int     // from 0, the lowest
	Digest v1.Hash // of the blob
	DiffID v1.Hash // of the archive in it
	Tree   tree.Tree
}

// EachLayer reads the layers of an image one after the other, the lowest first, and calls
// visit with each. All content is read and checked as by Flatten, with the same errors.
// The root directory of a layer is the runtime's own and has no meaning.
func EachLayer(ctx context.Context, img v1.Image, limits Limits, visit func(Layer) error) error {
	limits = limits.withDefaults()
	sources, err := sourcesOf(img, limits)
	if err != nil {
		return fmt.Errorf("read layers: %w", err)
	}
	var below []*node
	spent := &work{ctx: ctx, use: &usage{limits: limits}}
	for i, s := range sources {
		records, err := s.records(ctx, true)
		if err != nil {
			return layerError(s.layer, i, err)
		}
		// A directory that a layer only implies has the attributes of the one below.
		a := &applier{index: i, root: newDir(), below: below, overlay: true, work: spent, report: func(string, string) {}}
		if err := a.applyAll(records); err != nil {
			return layerError(s.layer, i, err)
		}
		m := merger{isLayer: true}
		if err := m.merge(ctx, "/", []*node{a.root}); err != nil {
			return layerError(s.layer, i, err)
		}
		m.nameLinks()
		l := Layer{Index: i, DiffID: s.diffID}
		if l.Tree, err = tree.New(m.entries); err != nil {
			return layerError(s.layer, i, err)
		}
		if l.Digest, err = s.layer.Digest(); err != nil {
			return layerError(s.layer, i, err)
		}
		if err := visit(l); err != nil {
			return err
		}
		below = slices.Insert(below, 0, a.root)
	}
	return nil
}

// layerXattrs returns the attributes that a node has in the directory of its layer.
func layerXattrs(n *node) map[string]string {
	if !n.opaque {
		return n.xattrs
	}
	xattrs := maps.Clone(n.xattrs)
	if xattrs == nil {
		xattrs = map[string]string{}
	}
	xattrs[opaqueXattr] = "y"
	return xattrs
}
