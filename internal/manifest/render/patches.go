package render

import (
	"os"
	"slices"

	"sigs.k8s.io/kustomize/api/types"
)

// Patches returns the files of the patches of a kustomization, as it names them. There are
// none in one that cannot be read: Kustomize reports that.
func Patches(kustomization string) []string {
	info, err := os.Stat(kustomization)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxRead {
		return nil
	}
	content, err := os.ReadFile(kustomization)
	if err != nil {
		return nil
	}
	var k types.Kustomization
	if k.Unmarshal(content) != nil {
		return nil
	}
	k.FixKustomization() // also of the fields that patches had before
	var files []string
	//lint:ignore SA1019 Kustomize reads the old fields, and so do we
	for _, p := range slices.Concat(k.Patches, k.PatchesJson6902) {
		if p.Path != "" {
			files = append(files, p.Path)
		}
	}
	//lint:ignore SA1019 as above
	for _, p := range k.PatchesStrategicMerge {
		files = append(files, string(p)) // or a patch as text, which is no file
	}
	return files
}
