package containerd

import (
	"archive/tar"
	"bytes"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// FuzzReadImages reads archives of any bytes: an image that is found has all
// its blobs in the archive, of the sizes that it names.
func FuzzReadImages(f *testing.F) {
	f.Add([]byte{})
	f.Add(archiveOf(f, map[string]string{"oci-layout": `{"imageLayoutVersion":"1.0.0"}`, "index.json": `{"manifests":[{"mediaType":"application/vnd.oci.image.index.v1+json"}]}`}))
	f.Add(archiveOf(f, map[string]string{"manifest.json": `[{"Config":"c","Layers":["l"],"RepoTags":["a:b"]}]`, "c": `{"rootfs":{"diff_ids":["sha256:x"]}}`, "l": "layer"}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		fd, err := unix.MemfdCreate("archive", unix.MFD_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		file := os.NewFile(uintptr(fd), "archive")
		defer file.Close()
		if _, err := file.Write(raw); err != nil {
			t.Fatal(err)
		}
		s, err := indexTar(t.Context(), file)
		if err != nil {
			return
		}
		all, err := readImages(s)
		if err != nil {
			return
		}
		for _, p := range all {
			if len(p.layers) != len(p.config.RootFS.DiffIDs) || len(p.documents) < 2 {
				t.Errorf("image %+v is not whole", p)
			}
			for _, l := range p.layers {
				b, err := l.open()
				if err == nil && b.size != l.Size {
					t.Errorf("layer %s has %d bytes, want %d", l.Digest, b.size, l.Size)
				}
			}
		}
	})
}

func archiveOf(tb testing.TB, files map[string]string) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, content := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(content)), Mode: 0o644}); err != nil {
			tb.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}
