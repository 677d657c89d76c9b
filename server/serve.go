package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"potluck/server/app"
)

type serveCommand struct {
	app.Config
}

// closeTime is how long a server may take to end in good order.
const closeTime = 20 * time.Second

// Run serves until it is told to end.
func (s *serveCommand) Run(ctx context.Context) error {
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
