package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"potluck/server/app"
)

type serveCommand struct {
	app.Config
}

// closeTime is how long a server may take to end in good order.
const closeTime = 20 * time.Second

// gcPercent is how much garbage may come to what is alive before it is
// collected, unless GOGC says otherwise. It is half of Go's usual: a large job
// passes through the server as garbage, and the server often shares its machine
// with those who compute.
const gcPercent = 50

// Run serves until it is told to end.
func (s *serveCommand) Run(ctx context.Context) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: s.LogLevel}))
	a, err := app.Start(ctx, s.Config, log)
	if err != nil {
		return err
	}
	fmt.Println("Potluck is serving at", a.URL)
	err = a.Wait(ctx)
	closing, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	a.Close(closing)
	return err
}
