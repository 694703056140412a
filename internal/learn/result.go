package learn

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/fs/durable"
	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/text"
)

// LessonList is the result of learning: the document of `learn -o json`.
type LessonList struct {
	document.List[LessonItem]
	PassedOver []manifest.Other `json:"passedOver,omitempty"` // objects of the manifest that are not run here

	summary bool
}

// LessonItem is the profile of a workload with its last proof.
type LessonItem struct {
	Profile profile.Profile `json:"profile"`
	Proof   Proof           `json:"proof"`
}

// NewLessonList returns the result of lessons. As text it is their profiles in
// YAML or, with summary, one line for each volume.
func NewLessonList(lessons []Lesson, summary bool) LessonList {
	var items []LessonItem
	for _, l := range lessons {
		items = append(items, LessonItem{l.Profile, l.Proof})
	}
	return LessonList{List: document.NewList(document.LessonList, items), summary: summary}
}

// Profiles returns the profiles as YAML.
func (l LessonList) Profiles() ([]byte, error) {
	var profiles []profile.Profile
	for _, item := range l.Items {
		profiles = append(profiles, item.Profile)
	}
	return profile.MarshalAll(profiles)
}

// Save writes the profiles as YAML to a file.
func (l LessonList) Save(name string) error {
	data, err := l.Profiles()
	if err != nil {
		return err
	}
	return durable.WriteTarget(name, data, 0o644)
}

// SaveIn saves the profiles in a folder, as the function SaveIn does.
func (l LessonList) SaveIn(dir string, known []profile.Profile) (notes []string, err error) {
	var profiles []profile.Profile
	for _, item := range l.Items {
		profiles = append(profiles, item.Profile)
	}
	return SaveIn(dir, profiles, known)
}

// Verdict returns Incomplete if a profile was not proven, something was not seen, or an
// object with pods was passed over.
func (l LessonList) Verdict() report.Verdict {
	if manifest.HavePods(l.PassedOver) {
		return report.Incomplete
	}
	for _, item := range l.Items {
		if !item.Proof.Passed || len(item.Proof.Weak) > 0 {
			return report.Incomplete
		}
	}
	return report.Clean
}

// WriteText implements report.Text.
func (l LessonList) WriteText(w io.Writer, _ bool) error {
	if !l.summary {
		data, err := l.Profiles()
		if err == nil {
			_, err = w.Write(data)
		}
		return err
	}
	b := bufio.NewWriter(w)
	for _, item := range l.Items {
		writeVolumes(b, item.Profile)
	}
	return b.Flush()
}

func writeVolumes(w io.Writer, p profile.Profile) {
	for _, c := range p.Containers {
		fmt.Fprintf(w, "%s, container %s: %d paths written\n", p.Name, c.Name, len(c.Writes))
		for _, v := range c.Volumes {
			fmt.Fprintf(w, "  %-28s %s\n", text.Escape(v.MountPath), strings.Join(traits(v), ", "))
			for _, why := range v.Why {
				fmt.Fprintf(w, "      %s\n", text.Escape(why))
			}
			if v.Exposes != "" {
				fmt.Fprintf(w, "      makes writable: %s\n", text.Escape(v.Exposes))
			}
		}
		if len(c.Volumes) == 0 {
			fmt.Fprintln(w, "  needs no volume")
		}
	}
}

func traits(v profile.Volume) []string {
	var out []string
	if v.Need != "" {
		out = append(out, string(v.Need))
	}
	if v.Used > 0 {
		out = append(out, "held "+text.Bytes(v.Used))
	}
	if v.Medium != "" {
		out = append(out, "in memory")
	}
	if v.SizeLimit != "" {
		out = append(out, "at most "+v.SizeLimit)
	}
	if v.CopyUp {
		out = append(out, "with the image's content")
	}
	return out
}

// ProofList is the result of proving: the document of `prove -o json`.
type ProofList struct {
	document.List[Proof]
	PassedOver []manifest.Other `json:"passedOver,omitempty"` // objects of the manifest that are not run here
}

// NewProofList returns the result of proofs.
func NewProofList(proofs []Proof) ProofList {
	return ProofList{List: document.NewList(document.ProofList, proofs)}
}

// Verdict returns Findings if a proof failed. This takes precedence over
// missing information, because nothing that is seen later makes a failed proof
// pass.
func (l ProofList) Verdict() report.Verdict {
	verdict := report.Clean
	if manifest.HavePods(l.PassedOver) {
		verdict = report.Incomplete
	}
	for _, p := range l.Items {
		if !p.Passed {
			return report.Findings
		}
		if len(p.Weak) > 0 {
			verdict = report.Incomplete
		}
	}
	return verdict
}

// WriteText implements report.Text.
func (l ProofList) WriteText(w io.Writer, color bool) error {
	b := bufio.NewWriter(w)
	for _, p := range l.Items {
		p.writeText(b, color)
	}
	return b.Flush()
}

// writeText writes whether the proof passed, with its evidence.
func (p Proof) writeText(w io.Writer, color bool) {
	fmt.Fprintf(w, "%s  %s\n", p.word(color), p.Workload)
	for _, reason := range p.Reasons {
		fmt.Fprintf(w, "  %s\n", text.EscapeLines(reason))
	}
	for _, c := range p.Load {
		same := "as when writable"
		if !c.Alike {
			same = "but " + c.Writable + " when writable"
		}
		fmt.Fprintf(w, "  load  %-32s %-12s %s\n", text.EscapeLines(c.Load), text.EscapeLines(c.Sealed), text.EscapeLines(same))
	}
	for _, r := range p.Restarts {
		same := "as when writable"
		if !r.Alike {
			same = "but " + firstLine(r.Writable) + " when writable"
		}
		fmt.Fprintf(w, "  killed %-31s %-12s %s\n", r.When, text.EscapeLines(firstLine(r.Sealed)), text.EscapeLines(same))
	}
	if p.Passed {
		fmt.Fprintln(w, "  calls that succeeded when the root was writable and fail now: none")
	}
	for _, f := range p.Failures {
		if f.Mild {
			fmt.Fprintf(w, "  mild  container %s: %s %s: %s\n", f.Container, f.Op, text.EscapeLines(f.Path), f.Errno)
		}
	}
	for _, weak := range p.Weak {
		fmt.Fprintf(w, "  weak  %s\n", text.EscapeLines(weak))
	}
	for _, name := range slices.Sorted(maps.Keys(p.Logs)) {
		if log := strings.TrimSpace(p.Logs[name]); log != "" {
			fmt.Fprintf(w, "  last lines of container %s:\n    %s\n", name, strings.ReplaceAll(text.EscapeLines(log), "\n", "\n    "))
		}
	}
}

// word returns the verdict as the first word of a line.
func (p Proof) word(color bool) string {
	word, code := "PASS", "32"
	switch {
	case !p.Passed:
		word, code = "FAIL", "31"
	case len(p.Weak) > 0:
		word, code = "WEAK", "33"
	}
	if color {
		return "\x1b[1;" + code + "m" + word + "\x1b[0m"
	}
	return word
}

// Summary returns the result of a proof in one line.
func (p Proof) Summary() string {
	switch {
	case !p.Passed:
		return p.Workload + ": NOT proven: " + strings.Join(p.Reasons, "; ")
	case len(p.Weak) > 0:
		return p.Workload + ": NOT proven, only weak: nothing failed when sealed, but " + strings.Join(p.Weak, "; ")
	}
	return p.Workload + ": proven: healthy and without a failed call when sealed, and after its restarts"
}

// SealedManifest is the result of sealing: the document of `seal -o json`.
type SealedManifest struct {
	document.Header
	File     string `json:"file"`
	Manifest string `json:"manifest"` // the whole file, sealed
}

// WriteText implements report.Text.
func (s SealedManifest) WriteText(w io.Writer, _ bool) error {
	_, err := io.WriteString(w, s.Manifest)
	return err
}

// SealedFiles is the result of sealing several files: the document of `seal -o json`.
type SealedFiles struct {
	document.List[SealedManifest]
	Left manifest.Errors `json:"-"` // pods that are not sealed
}

// Verdict returns Incomplete if a pod is not sealed.
func (s SealedFiles) Verdict() report.Verdict {
	if len(s.Left) > 0 {
		return report.Incomplete
	}
	return report.Clean
}

// WriteText implements report.Text. The files are the documents of one.
func (s SealedFiles) WriteText(w io.Writer, _ bool) error {
	for i, f := range s.Items {
		text := f.Manifest
		if i > 0 && !strings.HasPrefix(text, "---") {
			text = "---\n" + text
		}
		if i < len(s.Items)-1 && !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		if _, err := io.WriteString(w, text); err != nil {
			return err
		}
	}
	return nil
}
