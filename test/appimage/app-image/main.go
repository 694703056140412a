// Command app-image writes the image of a packaged application to an OCI
// archive. See scripts/app-image.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/adamant-sh/adamant/test/appimage"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "app-image:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 || len(args) > 2 {
		for _, a := range appimage.Apps() {
			fmt.Println(a.Name)
		}
		return nil
	}
	if args[0] == "--all" {
		return buildAll(ctx)
	}
	path, err := appimage.Build(ctx, args[0])
	if err != nil {
		return err
	}
	if len(args) == 1 {
		fmt.Println(path)
		return nil
	}
	return copyFile(path, args[1])
}

// buildAll builds the image of every application and prints the paths.
func buildAll(ctx context.Context) error {
	for _, a := range appimage.Apps() {
		path, err := appimage.Build(ctx, a.Name)
		if err != nil {
			return err
		}
		fmt.Println(path)
	}
	return nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}
