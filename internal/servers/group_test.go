package servers

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The servers that take the longest are named while they are read.
func TestProgressNamesTheSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		g := Group{Options: Options{Parallel: 3, Progress: func(total int) (func(int, []string), func()) {
			return func(done int, running []string) {
				got = append(got, fmt.Sprintf("%d of %d: %s", done, total, strings.Join(running, " ")))
			}, func() { got = append(got, "end") }
		}}}
		hosts := []Host{{Name: "slow"}, {Name: "a"}, {Name: "b"}}
		g.forEach(hosts, func(i int, _ Host) error {
			time.Sleep([]time.Duration{10, 1, 2}[i] * time.Second)
			return nil
		})
		if diff := cmp.Diff(got[len(got)-4:], []string{"1 of 3: slow b", "2 of 3: slow", "3 of 3: ", "end"}); diff != "" {
			t.Errorf("(-got +want):\n%s", diff)
		}
	})
}
