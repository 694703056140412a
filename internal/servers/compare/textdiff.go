package compare

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/drift"
	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/servers/facts"
	"github.com/adamant-sh/adamant/internal/text"
)

// maxTexts bounds how many files are compared line by line, and diffLimit one
// such diff, in bytes.
const (
	maxTexts  = 200
	diffLimit = 8 << 10
)

// shown are the directories whose files people edit. Differences in others are not
// text to read.
var shown = []string{"/etc/", "/usr/local/", "/opt/", "/srv/", "/home/", "/root/"}

// addTextDiffs adds text diffs of files that people edit: from the file of most
// servers to that of the first that deviates, or between the first two that differ.
func addTextDiffs(ctx context.Context, peers []*facts.Peer, files []Difference) error {
	texts := 0
	for i := range files {
		d := &files[i]
		a, b := pair(peers, *d)
		// A diff of a derived file would only repeat those of its sources.
		if a == nil || d.Derived || !slices.Contains(d.Fields, tree.FieldContent) || !isShown(d.Key) {
			continue
		}
		if texts++; texts > maxTexts {
			d.Hidden = "more files differ than are compared line by line"
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := d.show(a, b); err != nil {
			return err
		}
	}
	return nil
}

func isShown(p string) bool {
	return slices.ContainsFunc(shown, func(dir string) bool { return strings.HasPrefix(p, dir) })
}

// pair returns two servers on which a file differs, one with the usual content first.
// It returns nil if only one server has the file.
func pair(peers []*facts.Peer, d Difference) (a, b *facts.Peer) {
	for _, p := range peers {
		v, has := d.Values[p.Name]
		isOdd := slices.Contains(d.Odd, p.Name)
		switch {
		case !has:
		case a == nil && (d.Split || !isOdd):
			a = p
		case b == nil && (isOdd || d.Split && a != nil && v != d.Values[a.Name]):
			b = p
		}
	}
	if b == nil {
		return nil, nil
	}
	return a, b
}

// show reads a file on both servers. It is no error if one of them no longer has it,
// because servers change while they are compared.
func (d *Difference) show(a, b *facts.Peer) error {
	before, err := readIf(a, d.Key)
	if err != nil {
		return err
	}
	after, err := readIf(b, d.Key)
	if err != nil {
		return err
	}
	if d.Hidden = before.Hidden; d.Hidden == "" {
		d.Hidden = after.Hidden
	}
	if d.Hidden == "" {
		d.Text = drift.TextDiff(d.Key, before.Content, after.Content, diffLimit)
		if d.Split {
			d.Text = d.nameSides(a.Name, b.Name)
		}
	} else {
		d.Hidden = text.Escape(d.Hidden) // the server's own text
	}
	return nil
}

// nameSides replaces the names of the files in the diff, a and b, by those of the
// servers.
func (d *Difference) nameSides(a, b string) string {
	file := text.Escape(d.Key)
	head := "--- a" + file + "\n+++ b" + file + "\n"
	rest, ok := strings.CutPrefix(d.Text, head)
	if !ok {
		return d.Text // it is a note
	}
	return fmt.Sprintf("--- %s:%s\n+++ %s:%s\n", text.Escape(d.sideOf(a)), file, text.Escape(d.sideOf(b)), file) + rest
}

// readIf reads a file that may no longer exist.
func readIf(p *facts.Peer, file string) (facts.Text, error) {
	text, err := p.Read(file)
	if errors.Is(err, facts.ErrRefused) {
		return facts.Text{Hidden: err.Error()}, nil
	}
	return text, err
}
