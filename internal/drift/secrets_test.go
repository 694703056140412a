package drift

import (
	"encoding/base64"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/adamant-sh/adamant/internal/drift/redact"
)

// secretMark is a mark in testdata/secrets.txtar. Each gets another value, so that it is
// found wherever it is shown. Values look real, but open nothing.
var secretMark = regexp.MustCompile(`\{[awmubxX]\}`)

type secretMaker struct {
	random *rand.Rand
	shape  int // of the next value
}

func (m *secretMaker) letters(n int, from string) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = from[m.random.IntN(len(from))]
	}
	return string(b)
}

const (
	lowerCase = "abcdefghijklmnopqrstuvwxyz"
	mixedCase = lowerCase + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits    = "0123456789"
)

func (m *secretMaker) value(mark string) string {
	m.shape++
	switch mark {
	case "{m}":
		return m.letters(3, mixedCase) + m.letters(2, digits) + m.letters(5, mixedCase) + m.letters(1, digits)
	case "{b}":
		return base64.StdEncoding.EncodeToString([]byte(m.letters(32, mixedCase+digits)))
	case "{x}":
		return m.letters(32, "0123456789abcdef")
	case "{X}":
		return m.letters(12, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
	}
	var shapes []string
	if mark == "{u}" {
		shapes = []string{m.letters(9, lowerCase), m.letters(10, digits), "p@" + m.letters(8, mixedCase+digits), m.letters(4, mixedCase) + "%40!" + m.letters(4, digits)}
	} else {
		shapes = []string{
			m.letters(9, lowerCase),
			m.letters(10, digits),
			m.letters(2, mixedCase) + m.letters(6, lowerCase+digits) + m.letters(2, digits),
			m.letters(3, lowerCase) + "!$%" + m.letters(4, mixedCase+digits),
			m.letters(4, lowerCase) + "-" + m.letters(5, lowerCase),
		}
	}
	if mark == "{a}" {
		shapes = append(shapes, m.letters(5, lowerCase)+" "+m.letters(6, lowerCase), m.letters(4, lowerCase)+", "+m.letters(4, digits)+"; #"+m.letters(3, lowerCase))
	}
	return shapes[m.shape%len(shapes)]
}

// fill puts values in the place of marks and returns them.
func (m *secretMaker) fill(content string) (string, []string) {
	var values []string
	content = secretMark.ReplaceAllStringFunc(content, func(mark string) string {
		v := m.value(mark)
		values = append(values, v)
		return v
	})
	return content, values
}

// leaked returns a part of a value that a diff shows.
func leaked(diff, value string) string {
	for part := range strings.FieldsSeq(value) {
		if part = strings.Trim(part, ",;#"); len(part) >= 4 && strings.Contains(diff, part) {
			return part
		}
	}
	return ""
}

// A secret is shown neither where its line changed nor where it is beside one that did,
// whichever line of the file is missing on one side.
func TestNoSecretIsShown(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/secrets.txtar")
	if err != nil {
		t.Fatal(err)
	}
	const limit = 1 << 20
	formats, secrets := 0, 0
	for _, f := range archive.Files {
		formats++
		secrets += len(secretMark.FindAllString(string(f.Data), -1))
		t.Run(f.Name, func(t *testing.T) {
			for pass := range 7 { // every mark has every shape once
				m := &secretMaker{random: rand.New(rand.NewPCG(1, uint64(pass))), shape: pass}
				content, values := m.fill(string(f.Data))
				lines := strings.SplitAfter(content, "\n")
				diffs := map[string]string{
					"added":   TextDiff(f.Name, nil, []byte(content), limit),
					"deleted": TextDiff(f.Name, []byte(content), nil, limit),
				}
				for i := range lines {
					if (i+pass)%7 != 0 {
						continue // each line is deleted and added in one of the passes
					}
					without := []byte(strings.Join(lines[:i], "") + strings.Join(lines[i+1:], ""))
					diffs[fmt.Sprint("line deleted: ", i+1)] = TextDiff(f.Name, []byte(content), without, limit)
					diffs[fmt.Sprint("line added: ", i+1)] = TextDiff(f.Name, without, []byte(content), limit)
				}
				seen := map[string]bool{}
				for change, diff := range diffs {
					for _, v := range values {
						if part := leaked(diff, v); part != "" && !seen[part] {
							seen[part] = true
							t.Errorf("%s: %q is shown:\n%s", change, part, lineWith(diff, part))
						}
					}
				}
			}
		})
	}
	if secrets < 300 || formats < 40 {
		t.Errorf("%d secrets in %d formats, want at least 300 in 40", secrets, formats)
	}
	t.Logf("%d secrets in %d files", secrets, formats)
}

func lineWith(diff, part string) string {
	for line := range strings.Lines(diff) {
		if strings.Contains(line, part) {
			return line
		}
	}
	return ""
}

// Ordinary configuration stays readable: that of the Debian packages of this machine,
// each file as added, and edited in every tenth line.
func TestOrdinaryDiffsStayReadable(t *testing.T) {
	const limit = 4 << 20
	files, lines, gaps := 0, 0, 0
	count := func(diff string) {
		for line := range strings.Lines(diff) {
			if strings.HasPrefix(line, "+") && !strings.HasPrefix(line, "+++") {
				lines++
				if strings.Contains(line, "[redacted ") {
					gaps++
				}
			}
		}
	}
	err := filepath.WalkDir("/etc", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil || info.Size() == 0 || info.Size() > textLimit {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil || isBinary(content) || redact.Withheld(path, string(content)) != "" {
			return err
		}
		files++
		count(TextDiff(path, nil, content, limit))
		edited := strings.SplitAfter(string(content), "\n")
		for i := 0; i < len(edited); i += 10 {
			edited[i] = "x" + edited[i]
		}
		count(TextDiff(path, []byte(strings.Join(edited, "")), content, limit))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	share := float64(lines-gaps) / float64(lines)
	t.Logf("%d files, %d changed lines, %.2f %% of them shown as they are", files, lines, 100*share)
	if files < 100 {
		t.Errorf("/etc has %d files to compare, want at least 100", files)
	}
	if share < 0.97 {
		t.Errorf("%.2f %% of changed lines are shown as they are, want at least 97 %%", 100*share)
	}
}
