package cluster

import "sync"

// warnings passes the warnings of the API server on, each once.
type warnings struct {
	mu   sync.Mutex
	seen map[string]bool
	to   func(text string) // may be nil
}

// HandleWarningHeader implements rest.WarningHandler.
func (w *warnings) HandleWarningHeader(code int, _, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if code != 299 || text == "" || w.seen[text] || w.to == nil {
		return
	}
	w.seen[text] = true
	w.to(text)
}

// passTo sets the receiver of warnings.
func (w *warnings) passTo(f func(text string)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.to = f
}
