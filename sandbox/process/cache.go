package process

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"

	"potluck/sandbox"
	"potluck/sandbox/shelf"
)

// A codeCache keeps machine code on disk. wazero checks only part of what it
// reads there: a flipped bit elsewhere would make another program of a module,
// and an honest machine give wrong answers. So each file has another beside it
// with its hash, and is used only if that is right.
type codeCache struct {
	dir    string
	notice shelf.Notice
}

// sumEnding is that of a file with the hash of another.
const sumEnding = ".sha256"

// newFor is for how long a file without a hash may be one that another executor
// is writing.
const newFor = 10 * time.Minute

// compile compiles a module, or takes its machine code from the disk.
func (c *codeCache) compile(ctx context.Context, id sandbox.ID, profile int, data []byte) (*compiled, error) {
	dir := filepath.Join(c.dir, string(id))
	if err := verify(dir); err != nil {
		return nil, err
	}
	cache, err := wazero.NewCompilationCacheWithDir(dir)
	if err != nil {
		return nil, err
	}
	config := wazero.NewRuntimeConfigCompiler().WithCompilationCache(cache)
	p, err := newCompiled(ctx, profile, data, config)
	if err != nil { // wazero gives up when it cannot write, and has the machine code in memory then
		var again error
		if p, again = newCompiled(ctx, profile, data, config); again != nil {
			_ = cache.Close(ctx) // nothing runs in it
			return nil, again
		}
		c.useless(err)
	}
	p.cache = cache
	if err := sign(dir); err != nil {
		c.useless(err)
	}
	return p, nil
}

// useless says that the cache is of no use.
func (c *codeCache) useless(err error) {
	c.notice("machine code cannot be kept on disk, and programs start more slowly", err.Error())
}

// codeFiles gives wazero's files in a module's folder: there is one for each
// version of it and kind of processor.
func codeFiles(dir string) (files []string) {
	all, _ := filepath.Glob(filepath.Join(dir, "*", "*")) // the pattern is good
	for _, f := range all {
		if !strings.HasSuffix(f, sumEnding) {
			files = append(files, f)
		}
	}
	return files
}

// verify removes every file that is not what was written.
func verify(dir string) (err error) {
	for _, f := range codeFiles(dir) {
		want, _ := os.ReadFile(f + sumEnding) // without it the file does not match
		if got, failed := sum(f); failed == nil && got == string(want) || len(want) == 0 && unfinished(f) {
			continue
		}
		if e := os.Remove(f); !errors.Is(e, os.ErrNotExist) {
			err = errors.Join(err, e)
		}
		_ = os.Remove(f + sumEnding) // of a file that has gone it says nothing
	}
	return err
}

// unfinished says whether another executor may be writing a file.
func unfinished(file string) bool {
	info, err := os.Stat(file)
	return err == nil && strings.HasSuffix(file, ".tmp") && time.Since(info.ModTime()) < newFor
}

// sign writes the hash of every file that has none.
func sign(dir string) (err error) {
	for _, f := range codeFiles(dir) {
		if _, e := os.Stat(f + sumEnding); e == nil || strings.HasSuffix(f, ".tmp") {
			continue
		}
		hash, e := sum(f)
		if e == nil {
			e = shelf.ReplaceFile(f+sumEnding, []byte(hash))
		}
		err = errors.Join(err, e)
	}
	return err
}

func sum(file string) (string, error) {
	data, err := os.ReadFile(file)
	hash := sha256.Sum256(data)
	return hex.EncodeToString(hash[:]), err
}
