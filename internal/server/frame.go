package server

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// maxFrame bounds one message, in bytes. A server may be hostile.
const maxFrame = 64 << 20

// errFrame says that what was read is no message.
var errFrame = errors.New("the other side does not speak the agent's protocol")

// writeFrame writes v as JSON after its length in decimal and a line break.
func writeFrame(w io.Writer, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(data) > maxFrame {
		return fmt.Errorf("a message of %d bytes is too large", len(data))
	}
	_, err = w.Write(append([]byte(strconv.Itoa(len(data))+"\n"), data...))
	return err
}

// readFrame reads what writeFrame wrote. At the end of the stream it returns
// io.EOF.
func readFrame(r *bufio.Reader, v any) error {
	head, err := readLine(r)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(head)
	if err != nil || n < 0 || n > maxFrame {
		return fmt.Errorf("%w: it says %.40q", errFrame, head)
	}
	data, err := io.ReadAll(io.LimitReader(r, int64(n)))
	if err != nil {
		return err
	}
	if len(data) < n {
		return io.ErrUnexpectedEOF
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%w: %w", errFrame, err)
	}
	return nil
}

// readLine reads a short line.
func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return "", fmt.Errorf("%w: it says %.40q", errFrame, line)
	}
	if errors.Is(err, io.EOF) && len(line) > 0 {
		return "", io.ErrUnexpectedEOF
	}
	return strings.TrimSuffix(string(line), "\n"), err
}
