package manifest

import (
	"bytes"
	"fmt"
	"slices"
)

// maxNames is how many files the name of a joined one has.
const maxNames = 3

// Join returns one file with the objects of all files, so that an object of one
// can refer to those of the others. Errors still name the file that they are in.
// Two objects of the same kind, namespace and name are an error of type Errors.
func Join(files ...File) (File, error) {
	if len(files) == 1 {
		return files[0], nil
	}
	joined := File{}
	d := &decoder{}
	names := map[[3]string]place{}
	for i, f := range files {
		if i > 0 && i < maxNames {
			joined.Name += ", "
		}
		if i < maxNames {
			joined.Name += f.Name
		}
		joined.parts = append(joined.parts, f)
		for j, o := range f.objects {
			o.part, o.index = i, j
			checkTwice(d, &o, names)
			joined.objects = append(joined.objects, o)
		}
	}
	if more := len(files) - maxNames; more > 0 {
		joined.Name += fmt.Sprintf(" and %d more", more)
	}
	if len(d.errs) > 0 {
		return File{}, d.errs
	}
	return joined, nil
}

// Edited returns the file with the ops applied, like Apply. It also edits a joined
// file.
func (f File) Edited(ops ...Op) (File, error) {
	if f.parts == nil {
		data, err := f.Apply(ops...)
		if err != nil {
			return File{}, err
		}
		return Parse(f.Name, data)
	}
	edited := slices.Clone(f.parts)
	for i := range edited {
		var own []Op
		for _, op := range ops {
			if o := f.objects[op.object]; o.part == i {
				op.object = o.index
				own = append(own, op)
			}
		}
		var err error
		if edited[i], err = edited[i].Edited(own...); err != nil {
			return File{}, err
		}
	}
	return Join(edited...)
}

// Content returns the bytes of a file as they were read.
func (f File) Content() []byte {
	if f.bom > 0 {
		return slices.Concat([]byte("\xEF\xBB\xBF"), f.data)
	}
	return bytes.Clone(f.data)
}

// Parts returns the files that a file was joined from, or the file itself.
func (f File) Parts() []File {
	if f.parts == nil {
		return []File{f}
	}
	return slices.Clone(f.parts)
}
