package facts

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/adamant-sh/adamant/internal/servers/boundedjson"
)

// maxFrame bounds one message, in bytes. A server may be hostile.
const maxFrame = boundedjson.MaxSize

// errFrame is returned when the input is not a message of the protocol.
var errFrame = errors.New("the other side does not speak the agent's protocol")

// frame returns v as a message: its length in decimal, a line break and JSON.
func frame(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	if len(data) > maxFrame {
		return nil, fmt.Errorf("a message of %d bytes is too large", len(data))
	}
	return append([]byte(strconv.Itoa(len(data))+"\n"), data...), nil
}

func writeFrame(w io.Writer, v any) error {
	data, err := frame(v)
	if err == nil {
		_, err = w.Write(data)
	}
	return err
}

// readFrame reads a frame. At the end of the stream it returns
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
	if err := boundedjson.Unmarshal(data, v); err != nil {
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
