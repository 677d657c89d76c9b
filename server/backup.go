package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"potluck/client/terminal"
	"potluck/server/ledger"
)

// dataFolder is the flag of the commands that work on a folder without a server.
type dataFolder struct {
	Data string `help:"Folder of the grid." default:"potluck-data" env:"POTLUCK_DATA" type:"path"`
}

type backupCommand struct {
	dataFolder
	File string `arg:"" help:"Archive to write. It has the grid's secrets in it: keep it where nobody else reads." type:"path"`
}

// Run writes an archive, under its name only once it is whole.
func (b *backupCommand) Run() error {
	part, err := os.CreateTemp(filepath.Dir(b.File), filepath.Base(b.File)+".*.part")
	if err != nil {
		return err
	}
	defer os.Remove(part.Name()) //nolint:errcheck // it has another name by then
	err = ledger.Backup(b.Data, part)
	if err = errors.Join(err, part.Sync(), part.Close()); err != nil {
		return err
	}
	if err := os.Rename(part.Name(), b.File); err != nil {
		return err
	}
	fmt.Fprintln(terminal.Err, "backed up; potluck restore makes a grid of it")
	return nil
}

type restoreCommand struct {
	dataFolder
	File string `arg:"" help:"Archive that potluck backup wrote." type:"existingfile"`
}

// Run makes a data folder of an archive.
func (r *restoreCommand) Run() error {
	f, err := os.Open(r.File)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only read
	if err := ledger.Restore(r.Data, f); err != nil {
		return err
	}
	fmt.Fprintln(terminal.Err, "restored; potluck serve goes on with it")
	return nil
}
