package learn

import (
	"strings"
	"testing"
)

// TestBadLoad checks that an invalid load is an error. Running without the load
// would make the profile look proven.
func TestBadLoad(t *testing.T) {
	t.Parallel()
	l, e := openHostile(t)
	o := hostileOptions(t, e)
	o.Load.HTTP = []string{"index.html"}
	_, err := Learn(t.Context(), o, parseWorkload(t, hostilePod("wait", "")))
	if err == nil || !strings.Contains(err.Error(), "want /path, :port/path or a URL") {
		t.Errorf("got error %v, want one that says how to write the load", err)
	}
	l.checkNothing(t, e)
}
