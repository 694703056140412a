package change

import (
	"bytes"
	"context"
	"os"
	"time"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// copyFiles writes files atomically, each with the mode, owner and attributes of the
// file that it replaces.
func (r *runner) copyFiles(ctx context.Context, _ *tailBuffer) error {
	for _, f := range r.job.Copies {
		e := tree.Entry{Path: f.Path, Kind: tree.Regular, Mode: f.Mode}
		if old, err := r.root.Lstat(f.Path); err == nil && old.Kind == tree.Regular {
			e.Mode, e.UID, e.GID, e.Xattrs = old.Mode, old.UID, old.GID, old.Xattrs
		}
		if err := r.root.Put(ctx, e, bytes.NewReader(f.Content)); err != nil {
			return describe("copy "+f.Path, err)
		}
	}
	return nil
}

// runCommands runs the command and the script of the job.
func (r *runner) runCommands(ctx context.Context, out *tailBuffer) error {
	if r.job.Run != "" {
		if err := runMarked(ctx, out, r.job.ID, "sh", "-c", r.job.Run); err != nil {
			return withCause(programError("the command", err), out.String())
		}
	}
	if len(r.job.Script) == 0 {
		return nil
	}
	path := r.store.path(r.job.ID, "script")
	if err := os.WriteFile(path, r.job.Script, 0o700); err != nil {
		return describe("write the script", err)
	}
	name, args := path, []string(nil)
	if !bytes.HasPrefix(r.job.Script, []byte("#!")) {
		name, args = "sh", []string{path}
	}
	if err := runMarked(ctx, out, r.job.ID, name, args...); err != nil {
		return withCause(programError("the script", err), out.String())
	}
	return nil
}

// undoRun runs the job's undo command, for effects that are not in files, packages or
// the network.
func (r *runner) undoRun(ctx context.Context) error {
	if r.job.UndoRun == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, max(r.job.Timeout, time.Minute))
	defer cancel()
	out := &tailBuffer{max: maxOutput}
	if err := runProgram(ctx, out, "sh", "-c", r.job.UndoRun); err != nil {
		return withCause(programError("the undo command", err), out.String())
	}
	return nil
}
