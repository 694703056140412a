package waves

import (
	"testing"
	"testing/quick"

	"github.com/google/go-cmp/cmp"
)

func TestWaves(t *testing.T) {
	for _, tt := range []struct {
		batches string
		total   int
		want    []int // sizes
	}{
		{"1,25%,100%", 3, []int{1, 1, 1}},
		{"1,25%,100%", 20, []int{1, 5, 14}},
		{"1,25%,100%", 1, []int{1}},
		{"100%", 7, []int{7}},
		{"2", 5, []int{2, 2, 1}},
		{"0", 2, []int{1, 1}},
		{"10%", 5, []int{1, 1, 1, 1, 1}},
		{"1,3", 0, nil},
	} {
		b, err := ParseBatches(tt.batches)
		if err != nil {
			t.Fatal(err)
		}
		var got []int
		for _, wave := range b.Waves(tt.total) {
			got = append(got, len(wave))
		}
		if diff := cmp.Diff(got, tt.want); diff != "" {
			t.Errorf("%s of %d: got, want:\n%s", tt.batches, tt.total, diff)
		}
	}
	for _, bad := range []string{"", "x", "-1", "101%", "1,,2", "1%%"} {
		if _, err := ParseBatches(bad); err == nil {
			t.Errorf("%q is no error", bad)
		}
	}
}

// Every server is in one wave, in order, and no wave is empty.
func TestWavesCoverAll(t *testing.T) {
	err := quick.Check(func(total uint8, counts []uint8, percent bool) bool {
		var b Batches
		for _, c := range counts {
			if percent {
				b = append(b, Share{Percent: int(c) % 101})
			} else {
				b = append(b, Share{Count: int(c)})
			}
		}
		next := 0
		for _, wave := range b.Waves(int(total)) {
			if len(wave) == 0 {
				return false
			}
			for _, i := range wave {
				if i != next {
					return false
				}
				next++
			}
		}
		return next == int(total)
	}, nil)
	if err != nil {
		t.Error(err)
	}
}
