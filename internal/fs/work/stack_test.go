package work

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// All workers end once every task is done, even if tasks push others while the stack is
// empty.
func TestStack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewStack[int]()
		s.Push(10)
		var done atomic.Int64
		var workers sync.WaitGroup
		for range 4 {
			workers.Go(func() {
				for n, ok := s.Pop(); ok; n, ok = s.Pop() {
					if n > 0 {
						s.Push(n-1, n-1)
					}
					done.Add(1)
					s.Done()
				}
			})
		}
		workers.Wait()
		if got, want := done.Load(), int64(1<<11-1); got != want {
			t.Errorf("%d tasks done, want %d", got, want)
		}
	})
}

func TestCloseWakesWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewStack[int]()
		s.Push(1)
		s.Pop() // never done
		var workers sync.WaitGroup
		workers.Go(func() {
			if _, ok := s.Pop(); ok {
				t.Error("got a task after Close")
			}
		})
		synctest.Wait()
		s.Close()
		workers.Wait()
	})
}
