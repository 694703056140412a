package ssh

import (
	"bytes"
	"io"
	"sync"

	"golang.org/x/crypto/ssh"
)

// maxTail is the size of the end of stderr that an ExitError keeps, in bytes.
const maxTail = 4 << 10

// An exit is the result of a command. said is set if the server reported it.
type exit struct {
	said   bool
	status int
	signal string
}

// signals are the numbers of signals, by their names in RFC 4254, section 6.10. A
// shell adds them to 128.
var signals = map[string]int{
	"HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "ABRT": 6, "FPE": 8, "KILL": 9, "SEGV": 11, "PIPE": 13, "ALRM": 14, "TERM": 15,
}

// readExit reads the requests of a server about a session until it closes the
// channel, and returns the reported result.
func readExit(requests <-chan *ssh.Request) exit {
	var how exit
	for r := range requests {
		switch r.Type {
		case "exit-status":
			var m struct{ Status uint32 }
			if ssh.Unmarshal(r.Payload, &m) == nil {
				how = exit{said: true, status: int(m.Status)}
			}
		case "exit-signal":
			var m struct {
				Signal  string
				Dumped  bool
				Message string
				Lang    string
			}
			if ssh.Unmarshal(r.Payload, &m) == nil {
				how = exit{said: true, status: 128 + signals[m.Signal], signal: m.Signal}
			}
		}
		if r.WantReply {
			_ = r.Reply(false, nil) // if it fails, the channel has ended, and so does the loop
		}
	}
	return how
}

// receive copies stdout. A slow reader slows down the command, because the pipe has
// no buffer and SSH has a window.
func (s *Session) receive(channel ssh.Channel) {
	early, err := s.skipOutput(channel)
	close(s.skipped)
	if err == nil {
		_, err = io.Copy(s.stdout, io.MultiReader(bytes.NewReader(early), channel))
	}
	s.stdout.CloseWithError(err)
}

// skipOutput reads stdout up to the start of the command, and returns the bytes of the
// command that arrived with it.
func (s *Session) skipOutput(channel ssh.Channel) ([]byte, error) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := channel.Read(buffer)
		text := s.skip(s.outScanner, buffer[:n])
		if s.outScanner.isOpen {
			close(s.running)
			return text, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// send copies stdin, once the command runs. Before that sudo or a startup file would
// read it.
func (s *Session) send(channel ssh.Channel) {
	if !s.admit(channel) {
		return
	}
	_, err := io.Copy(channel, s.stdin)
	if err == nil {
		err = channel.CloseWrite()
	}
	if err != nil {
		s.stdin.CloseWithError(io.ErrClosedPipe) // the command reads no more
	}
}

// listen reads stderr to its end, even if nobody wants it: a command whose output is
// not read blocks.
func (s *Session) listen(channel ssh.Channel) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := channel.Stderr().Read(buffer)
		if werr := s.stderr.write(s.skip(s.errScanner, buffer[:n])); werr != nil {
			s.cancel(werr)
		}
		if err != nil {
			return
		}
	}
}

// A stderr receives the standard error of a command.
type stderr struct {
	mu   sync.Mutex
	to   io.Writer
	tail []byte
}

func (e *stderr) write(text []byte) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tail = appendTail(e.tail, text, maxTail)
	if e.to == nil || len(text) == 0 {
		return nil
	}
	if _, err := e.to.Write(text); err != nil {
		e.to = nil
		return errorWriting("stderr", err)
	}
	return nil
}

// detach makes sure that the caller's writer is not used any more.
func (e *stderr) detach() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.to = nil
}

func (e *stderr) end() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return string(e.tail)
}

// appendTail appends text to tail, and keeps the last most bytes.
func appendTail(tail, text []byte, most int) []byte {
	tail = append(tail, text[max(0, len(text)-most):]...)
	if over := len(tail) - most; over > 0 {
		tail = tail[:copy(tail, tail[over:])]
	}
	return tail
}
