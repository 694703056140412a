package text

import (
	"testing"
	"time"
)

func TestFormat(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{Bytes(0), "0 B"}, {Bytes(1023), "1023 B"}, {Bytes(1536), "1.5 KiB"}, {Bytes(200 << 20), "200.0 MiB"}, {Bytes(1 << 62), "4.0 EiB"},
		{Age(5 * time.Second), "5s"}, {Age(200 * time.Second), "3m"}, {Age(47 * time.Hour), "47h"}, {Age(100 * time.Hour), "4d"},
		{Cut("größe", 5), "größe"}, {Cut("größer", 5), "größ…"},
		{FirstLine("a\nb"), "a"}, {FirstLine(""), ""},
		{OrDash(""), "-"}, {OrDash("a"), "a"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}
