package scan

import "sync"

// A task is a directory to list, or a part of one to look at.
type task struct {
	dir  *reading
	part int // index, or listNames
}

const listNames = -1

// A queue holds what is still to do. The last comes first, which keeps it short:
// a scan goes deep before it goes wide.
type queue struct {
	mu      sync.Mutex
	changed *sync.Cond
	tasks   []task
	pending int // pushed and not yet done
	closed  bool
}

func newQueue() *queue {
	q := &queue{}
	q.changed = sync.NewCond(&q.mu)
	return q
}

func (q *queue) push(tasks ...task) {
	if len(tasks) == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.tasks = append(q.tasks, tasks...)
	q.pending += len(tasks)
	if len(tasks) == 1 {
		q.changed.Signal()
	} else {
		q.changed.Broadcast()
	}
}

// pop waits for a task. It returns false when all are done or after close.
func (q *queue) pop() (task, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.tasks) == 0 && q.pending > 0 && !q.closed {
		q.changed.Wait()
	}
	if len(q.tasks) == 0 || q.closed {
		return task{}, false
	}
	last := len(q.tasks) - 1
	t := q.tasks[last]
	q.tasks[last] = task{}
	q.tasks = q.tasks[:last]
	return t, true
}

// done says that a task that was popped is finished.
func (q *queue) done() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.pending--; q.pending == 0 {
		q.changed.Broadcast()
	}
}

// close makes every pop return false.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.changed.Broadcast()
}
