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

// ParseShare parses "3" or "25%".
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

// of returns the number of servers among total. A percentage is rounded up, so that a
// wave of 1% is not empty.
func (s Share) of(total int) int {
	if s.Percent > 0 {
		return (total*s.Percent + 99) / 100
	}
	return s.Count
}

// Batches are the sizes of waves. The last one is used for all waves that follow.
type Batches []Share

// ParseBatches parses "1,25%,100%".
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

// Waves divides the indexes of total servers, in order. Every wave has at least one
// server, and every server is in one wave.
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
