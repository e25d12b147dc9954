package service

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/windows"
)

// askPassword takes the password from the variable, or asks for it without showing it.
func askPassword(account string) (string, error) {
	if password := os.Getenv(passwordVariable); password != "" {
		return password, nil
	}
	stdin := windows.Handle(os.Stdin.Fd())
	var mode uint32
	if err := windows.GetConsoleMode(stdin, &mode); err != nil {
		return "", fmt.Errorf("%s wants a password: set the variable %s", account, passwordVariable)
	}
	if err := windows.SetConsoleMode(stdin, mode&^windows.ENABLE_ECHO_INPUT); err != nil {
		return "", fmt.Errorf("hide what is typed: %w", err)
	}
	defer func() { _ = windows.SetConsoleMode(stdin, mode) }() // the mode was valid before
	if _, err := fmt.Fprintf(os.Stderr, "Password of %s: ", account); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	_, _ = fmt.Fprintln(os.Stderr) // the line end that was not shown
	if password := strings.TrimRight(line, "\r\n"); password != "" {
		return password, nil
	}
	return "", errors.Join(errors.New("no password"), err)
}
