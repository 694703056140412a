package text

import "strconv"

// Count returns a number with its noun, which forms its plural with an s: "no
// files", "1 file", "2 files".
func Count(n int, noun string) string {
	switch n {
	case 0:
		return "no " + noun + "s"
	case 1:
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
