package sshd

import (
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// A tunnel is one connection through a link.
type tunnel struct {
	link           *Link
	client, server *net.TCPConn
	once           sync.Once
	done           chan struct{} // closed when it is cut
}

// cut resets both ends and drops all bytes in transit.
func (t *tunnel) cut() {
	t.once.Do(func() {
		close(t.done)
		reset(t.client)
		reset(t.server)
	})
}

// reset closes a connection with an RST.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0) // it may be closed already
	_ = c.Close()
}

// A lane is one direction of a tunnel.
type lane struct {
	q      Quality
	most   int64 // bytes after which the tunnel is cut, 0 for never
	random *rand.Rand
	stall  float64   // bytes until the next one
	free   time.Time // the lane takes the next byte
}

func newLane(q Quality, most int64, number uint64) *lane {
	w := &lane{q: q, most: most, random: rand.New(rand.NewPCG(q.Seed, number))}
	w.stall = w.random.ExpFloat64() * float64(q.StallAfter)
	return w
}

// arrival returns when bytes that are sent now arrive. Latency is a pipeline,
// in which bytes do not delay those after them. A stall does delay them.
func (w *lane) arrival(n int) time.Time {
	if now := time.Now(); w.free.Before(now) {
		w.free = now
	}
	if w.q.Bandwidth > 0 {
		w.free = w.free.Add(time.Duration(n) * time.Second / time.Duration(w.q.Bandwidth))
	}
	if w.q.StallAfter > 0 {
		for w.stall -= float64(n); w.stall < 0; w.stall += 1 + w.random.ExpFloat64()*float64(w.q.StallAfter) {
			w.free = w.free.Add(w.q.Stall)
		}
	}
	return w.free.Add(w.q.Latency)
}

// A parcel is a group of bytes in transit, or the end of the lane.
type parcel struct {
	bytes []byte
	at    time.Time // it arrives
	last  bool
	cut   bool // it is the tunnel's end
}

// parcelSize is how many bytes a lane reads at once, and inFlight is the
// maximum number of parcels in transit.
const (
	parcelSize = 16 << 10
	inFlight   = 64
)

// carry moves bytes in one direction until they end or the tunnel is cut. It
// adds their number to counter unless that is nil.
func (t *tunnel) carry(from, to *net.TCPConn, w *lane, counter *int64) {
	parcels := make(chan parcel, inFlight)
	var delivering sync.WaitGroup
	delivering.Go(func() { t.deliver(parcels, to) })
	defer delivering.Wait()
	defer close(parcels)
	for sent := int64(0); ; {
		buffer := make([]byte, parcelSize)
		if w.most > 0 {
			buffer = buffer[:min(parcelSize, w.most-sent)]
		}
		n, err := from.Read(buffer)
		sent += int64(n)
		t.link.count(counter, n)
		p := parcel{buffer[:n], w.arrival(n), err != nil, w.most > 0 && sent == w.most}
		select {
		case parcels <- p:
		case <-t.done:
			return
		}
		if p.last || p.cut {
			return
		}
	}
}

// deliver writes parcels when they arrive.
func (t *tunnel) deliver(parcels <-chan parcel, to *net.TCPConn) {
	for p := range parcels {
		timer := time.NewTimer(time.Until(p.at))
		select {
		case <-timer.C:
		case <-t.done:
			timer.Stop()
			continue
		}
		if _, err := to.Write(p.bytes); err != nil {
			t.cut()
			continue
		}
		switch {
		case p.cut:
			t.cut()
		case p.last:
			_ = to.CloseWrite() // it may be closed already
		}
	}
}
