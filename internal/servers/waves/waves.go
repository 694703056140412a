package waves

import (
	"fmt"
	"strconv"
	"strings"
)

// A Share is a number of servers: a count, or a percentage of all.
type Share struct {
	Count   int
	Percent int // counts if it is not 0
}

// ParseShare reads "3" or "25%".
func ParseShare(text string) (Share, error) {
	digits, isPercent := strings.CutSuffix(strings.TrimSpace(text), "%")
	n, err := strconv.Atoi(digits)
	switch {
	case err != nil || n < 0 || isPercent && n > 100:
		return Share{}, fmt.Errorf("%.40q: want a number of servers, or a percentage such as 25%%", text)
	case isPercent:
		return Share{Percent: n}, nil
	}
	return Share{Count: n}, nil
}

// of is the number of servers among so many; a percentage rounds up.
func (s Share) of(total int) int {
	if s.Percent > 0 {
		return (total*s.Percent + 99) / 100
	}
	return s.Count
}

// Batches are the sizes of waves; the last is that of all that follow.
type Batches []Share

// ParseBatches reads "1,25%,100%".
func ParseBatches(text string) (Batches, error) {
	var b Batches
	for part := range strings.SplitSeq(text, ",") {
		s, err := ParseShare(part)
		if err != nil {
			return nil, err
		}
		b = append(b, s)
	}
	return b, nil
}

// Waves divides so many servers, in their order: every wave has at least one, and
// every server is in one.
func (b Batches) Waves(total int) [][]int {
	if len(b) == 0 {
		b = Batches{{Percent: 100}}
	}
	var waves [][]int
	for next := 0; next < total; {
		share := b[min(len(waves), len(b)-1)]
		size := min(max(share.of(total), 1), total-next)
		wave := make([]int, size)
		for i := range wave {
			wave[i] = next + i
		}
		waves = append(waves, wave)
		next += size
	}
	return waves
}
