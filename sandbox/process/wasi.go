package process

import (
	"context"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"potluck/sandbox"
)

// What functions of WASI answer.
const (
	errBadFile = 8  // EBADF
	errPipe    = 70 // ESPIPE
)

// instantiateWASI gives a runtime the WASI of a profile. Profile 1 answers as
// wazero does. From profile 2 on whatever asks for a place in stdin, stdout or
// stderr is told that they have none, as POSIX says of a pipe.
func instantiateWASI(ctx context.Context, r wazero.Runtime, profile int) error {
	b := r.NewHostModuleBuilder(sandbox.WASI)
	wasi_snapshot_preview1.NewFunctionExporter().ExportFunctions(b)
	if profile >= 2 {
		const i32, i64 = api.ValueTypeI32, api.ValueTypeI64
		for name, params := range map[string][]api.ValueType{
			"fd_seek": {i32, i64, i32, i32}, "fd_tell": {i32, i32},
			"fd_pread": {i32, i32, i32, i64, i32}, "fd_pwrite": {i32, i32, i32, i64, i32},
		} {
			b.NewFunctionBuilder().WithGoFunction(api.GoFunc(noPlace), params, []api.ValueType{i32}).Export(name)
		}
	}
	_, err := b.Instantiate(ctx)
	return err
}

// noPlace answers a function that asks for a place in a file: its first
// parameter. No other file than the streams is ever open.
func noPlace(_ context.Context, stack []uint64) {
	if uint32(stack[0]) <= 2 {
		stack[0] = errPipe
	} else {
		stack[0] = errBadFile
	}
}
