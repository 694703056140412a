package render

import (
	"os"
	"path/filepath"
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

// PatchFile is the file of the patch that seals what a kustomization renders, in its folder.
const PatchFile = "adamant-seal.yaml"

// replacePatch puts a patch in place of the file PatchFile; nil removes that.
func replacePatch(k *types.Kustomization, patch []byte) {
	isFile := func(p types.Patch) bool { return filepath.Clean(p.Path) == PatchFile }
	at := slices.IndexFunc(k.Patches, isFile)
	own := types.Patch{}
	if at >= 0 {
		own = k.Patches[at] // with its target and options
	}
	k.Patches = slices.DeleteFunc(k.Patches, isFile)
	//lint:ignore SA1019 Kustomize reads the old field, and so do we
	old := &k.PatchesStrategicMerge
	kept := slices.DeleteFunc(slices.Clone(*old), func(p types.PatchStrategicMerge) bool { return isFile(types.Patch{Path: string(p)}) })
	if at < 0 {
		at = len(k.Patches)
		if len(kept) < len(*old) {
			at = 0 // those are applied before all others
		}
	}
	*old = kept
	if patch == nil {
		return
	}
	own.Path, own.Patch = "", string(patch)
	k.Patches = slices.Insert(k.Patches, at, own)
}
