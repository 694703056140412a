package rootfs

import "sync"

// A stack holds what a walk still has to do. The last comes first, which keeps
// it short: a walk goes deep before it goes wide.
type stack struct {
	mu      sync.Mutex
	changed *sync.Cond
	tasks   []task
	pending int // pushed and not yet done
	closed  bool
}

func newStack() *stack {
	s := &stack{}
	s.changed = sync.NewCond(&s.mu)
	return s
}

func (s *stack) push(t task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tasks = append(s.tasks, t)
	s.pending++
	s.changed.Signal()
}

// pop waits for a task. It returns false when all are done or after close.
func (s *stack) pop() (task, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.tasks) == 0 && s.pending > 0 && !s.closed {
		s.changed.Wait()
	}
	if len(s.tasks) == 0 || s.closed {
		return task{}, false
	}
	last := len(s.tasks) - 1
	t := s.tasks[last]
	s.tasks[last] = task{}
	s.tasks = s.tasks[:last]
	return t, true
}

// done says that a task that was popped is finished.
func (s *stack) done() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending--; s.pending == 0 {
		s.changed.Broadcast()
	}
}

// close makes every pop return false.
func (s *stack) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.changed.Broadcast()
}
