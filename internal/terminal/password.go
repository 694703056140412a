package terminal

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/term"
)

// ErrNoTerminal is returned when a password is needed and the process has no
// terminal.
var ErrNoTerminal = errors.New("there is no terminal to ask for a password on")

// AskPassword prompts for a password on the terminal of the process, also if standard
// input is redirected. Meanwhile the progress is not drawn.
func (l *Log) AskPassword(prompt string) (string, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return "", ErrNoTerminal
	}
	defer tty.Close()
	l.Pause()
	defer l.Resume()
	fmt.Fprint(tty, prompt)
	text, err := term.ReadPassword(int(tty.Fd()))
	fmt.Fprintln(tty)
	if err != nil {
		return "", fmt.Errorf("ask for a password: %w", err)
	}
	return string(text), nil
}
