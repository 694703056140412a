package capture

import (
	"maps"
	"slices"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// assemble puts the items that were read into layers, secrets and LeftOut.
func (s *survey) assemble() error {
	shipped := map[string]bool{} // digests of files that are unchanged since their packages installed them
	for _, it := range s.items {
		if it.sum != "" && it.sum == it.own && it.Size > 0 {
			shipped[it.Digest] = true
		}
	}
	var packages, config []tree.Entry
	for _, it := range s.items {
		switch class := s.placeOf(it); {
		case it.unread != nil:
			s.unread = append(s.unread, tree.Unknown{Path: it.Path, Err: it.unread})
		case class != "":
			s.leftOut = append(s.leftOut, leftOutItem{it.Entry, class})
		case it.secret != "":
			s.plan.Secrets = append(s.plan.Secrets, Secret{it.Path, it.secret, it.Mode, it.Size})
		case s.isPackages(it, shipped):
			packages = append(packages, it.Entry)
		default:
			config = append(config, it.Entry)
			if it.pkg != "" && it.Kind == tree.Regular {
				s.plan.Edited = append(s.plan.Edited, Owned{it.Path, it.pkg})
			}
		}
	}
	s.leaveOut()
	var err error
	if s.plan.Packages, err = newLayer(packages); err != nil {
		return err
	}
	if s.plan.Config, err = newLayer(config); err != nil {
		return err
	}
	s.plan.Config.Made.Tree, err = s.runtimeDirs()
	return err
}

// placeOf returns the class of a file that is left out because of its content. A
// file of passwords that cannot be read is left out, too: it may hold hashes.
func (s *survey) placeOf(it *item) Class {
	if it.Path != "/etc/shadow" && it.Path != "/etc/gshadow" || it.Kind != tree.Regular {
		return ""
	}
	text, err := readText(s.root, it.Path)
	if err != nil || hasPassword([]byte(text)) {
		return classAccount
	}
	return ""
}

// isPackages reports whether an entry belongs to the packages' layer: it is as its
// package installed it, or a maintainer script generated it. Package databases have
// digests of regular files only, so a directory or a link counts as unchanged. A
// script's copy of a file of a package counts as the package's.
func (s *survey) isPackages(it *item, shipped map[string]bool) bool {
	switch {
	case it.Kind == tree.Regular && it.pkg != "" && it.sum != "":
		return it.sum == it.own
	case it.Kind == tree.Regular && it.pkg != "":
		return false
	case it.pkg != "":
		return true
	}
	return isGenerated(it.Entry, s.hasPeople) || it.Kind == tree.Regular && shipped[it.Digest]
}

// newLayer returns a layer with these entries.
func newLayer(entries []tree.Entry) (Layer, error) {
	first := map[string]string{}
	var l Layer
	for i := range entries {
		e := &entries[i]
		e.Xattrs = portable(e.Xattrs)
		// A tar archive can only link to an earlier entry of its own, so the first
		// file of a group of hard links within the layer is the one that others
		// link to.
		if e.Link != "" {
			if first[e.Link] == "" {
				first[e.Link] = e.Path
			}
			e.Link = first[e.Link]
		}
		l.Bytes += e.Size
	}
	var err error
	l.Files.Tree, err = tree.New(entries)
	return l, err
}

// portable returns the extended attributes that container runtimes set. All others
// belong to the machine or its file system.
func portable(all map[string]string) map[string]string {
	var kept map[string]string
	for name, value := range all {
		if name != tree.CapabilityXattr {
			continue
		}
		if kept == nil {
			kept = map[string]string{}
		}
		kept[name] = value
	}
	return kept
}

// leaveOut lists the entries that are in no layer by class. A directory stands for
// everything below it.
func (s *survey) leaveOut() {
	byClass := map[Class]*LeftOut{}
	for _, u := range s.unread {
		s.leftOut = append(s.leftOut, leftOutItem{tree.Entry{Path: u.Path}, classUnread})
	}
	for p := range s.mounted {
		if p != "/" {
			s.leftOut = append(s.leftOut, leftOutItem{tree.Entry{Path: p}, classMounted})
		}
	}
	slices.SortFunc(s.leftOut, func(a, b leftOutItem) int { return tree.ComparePaths(a.Path, b.Path) })
	for _, o := range s.leftOut {
		l := byClass[o.class]
		if l == nil {
			l = &LeftOut{Class: o.class}
			byClass[o.class] = l
		}
		l.Entries++
		l.Bytes += o.Size
		if n := len(l.Paths); n == 0 || !isBelow(o.Path, l.Paths[n-1]) {
			l.Paths = append(l.Paths, o.Path)
		}
	}
	for _, class := range slices.Sorted(maps.Keys(byClass)) {
		s.plan.LeftOut = append(s.plan.LeftOut, *byClass[class])
	}
}
