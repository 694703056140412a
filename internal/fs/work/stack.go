// Package work holds the tasks that several goroutines share.
package work

import "sync"

// A Stack holds the remaining tasks of a concurrent walk. The task that was pushed
// last is popped first: a depth-first walk keeps the stack short. All methods may be
// called concurrently.
type Stack[T any] struct {
	mu      sync.Mutex
	changed *sync.Cond
	tasks   []T
	pending int // pushed and not yet done
	closed  bool
}

// NewStack returns an empty stack.
func NewStack[T any]() *Stack[T] {
	s := &Stack[T]{}
	s.changed = sync.NewCond(&s.mu)
	return s
}

// Push adds tasks.
func (s *Stack[T]) Push(tasks ...T) {
	if len(tasks) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tasks = append(s.tasks, tasks...)
	s.pending += len(tasks)
	if len(tasks) == 1 {
		s.changed.Signal()
	} else {
		s.changed.Broadcast()
	}
}

// Pop waits for a task. It returns false when all tasks are done, which includes
// those that they pushed, or after Close. Done must be called after each task.
func (s *Stack[T]) Pop() (task T, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// An empty stack is not the end: a task in progress may push more.
	for len(s.tasks) == 0 && s.pending > 0 && !s.closed {
		s.changed.Wait()
	}
	if len(s.tasks) == 0 || s.closed {
		return task, false
	}
	last := len(s.tasks) - 1
	task = s.tasks[last]
	clear(s.tasks[last:]) // else the array would keep the task's memory alive
	s.tasks = s.tasks[:last]
	return task, true
}

// Done marks a task that was popped as finished.
func (s *Stack[T]) Done() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending--; s.pending == 0 {
		s.changed.Broadcast()
	}
}

// Close makes every Pop return false.
func (s *Stack[T]) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.changed.Broadcast()
}
