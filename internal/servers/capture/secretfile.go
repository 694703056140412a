package capture

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"

	"sigs.k8s.io/yaml"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// maxSecret is the maximal size of a Secret, in bytes (MaxSecretSize of
// Kubernetes).
const maxSecret = 1 << 20

// WriteSecrets writes the secret files that services of a plan need, as a tar
// archive.
func WriteSecrets(ctx context.Context, root *rootfs.Root, p Plan, w io.Writer) error {
	out := tar.NewWriter(w)
	for _, file := range p.neededSecrets() {
		if err := ctx.Err(); err != nil {
			return err
		}
		content, err := readText(root, file)
		if err != nil {
			return fmt.Errorf("write secrets: %w", err)
		}
		if len(content) >= maxSecret {
			return fmt.Errorf("write secrets: %s: %w of %d bytes", file, tree.ErrTooLarge, maxSecret)
		}
		h := &tar.Header{Typeflag: tar.TypeReg, Name: file[1:], Mode: 0o600, Size: int64(len(content))}
		if err := out.WriteHeader(h); err != nil {
			return fmt.Errorf("write secrets: %s: %w", file, err)
		}
		if _, err := io.WriteString(out, content); err != nil {
			return fmt.Errorf("write secrets: %s: %w", file, err)
		}
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("write secrets: %w", err)
	}
	return nil
}

// neededSecrets returns the files that services read or that set their variables.
func (p *Plan) neededSecrets() []string {
	var files []string
	for _, v := range p.Services {
		files = append(files, v.Secrets...)
		for _, e := range v.Env {
			if e.File != "" {
				files = append(files, e.File)
			}
		}
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// SecretManifest makes the Secrets of the services from the output of WriteSecrets.
// The result is as secret as those files: keep it where nobody else can read it.
func SecretManifest(p Plan, r io.Reader) ([]byte, error) {
	files, err := readSecrets(p.neededSecrets(), r)
	if err != nil {
		return nil, fmt.Errorf("read secrets: %w", err)
	}
	var b bytes.Buffer
	for _, v := range p.Services {
		if !v.hasSecrets() {
			continue
		}
		data := object{}
		for _, file := range v.Secrets {
			data[fileKey(file)] = base64.StdEncoding.EncodeToString(files[file])
		}
		for _, e := range v.Env {
			if e.File == "" {
				continue
			}
			value, ok := secretValue(e.File, string(files[e.File]), e.Name)
			if !ok {
				return nil, fmt.Errorf("%s does not set %s: %w", e.File, e.Name, ErrNotAsPlanned)
			}
			data[envKey(e.Name)] = base64.StdEncoding.EncodeToString([]byte(value))
		}
		text, err := yaml.Marshal(object{
			"apiVersion": "v1", "kind": "Secret", "metadata": object{"name": SecretName(&v)}, "type": "Opaque", "data": data,
		})
		if err != nil {
			return nil, fmt.Errorf("write secrets of %s: %w", v.Unit, err)
		}
		if len(text) > maxSecret*4/3 {
			return nil, fmt.Errorf("secrets of %s: %w of a Secret", v.Unit, tree.ErrTooLarge)
		}
		fmt.Fprintf(&b, "---\n%s", text)
	}
	return b.Bytes(), nil
}

// readSecrets reads an archive that must have exactly the files of want, in that
// order.
func readSecrets(want []string, r io.Reader) (map[string][]byte, error) {
	in := tar.NewReader(r)
	files := map[string][]byte{}
	for _, file := range want {
		h, err := in.Next()
		if err == io.EOF {
			return nil, fmt.Errorf("the archive ends before %q: %w", file, io.ErrUnexpectedEOF)
		}
		if err != nil {
			return nil, err
		}
		if h.Typeflag != tar.TypeReg || "/"+h.Name != file || h.Size > maxSecret {
			return nil, fmt.Errorf("%q of %d bytes: %w", h.Name, h.Size, ErrHostile)
		}
		if files[file], err = io.ReadAll(in); err != nil {
			return nil, err
		}
	}
	if _, err := in.Next(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("the archive has more files than the plan: %w", ErrHostile)
	}
	return files, nil
}

// shortDigest returns a suffix that distinguishes paths whose names look the same.
func shortDigest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:4])
}
