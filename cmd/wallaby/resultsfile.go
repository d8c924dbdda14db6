package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/wallaby-ao/wallaby/engine"
	"github.com/wallaby-ao/wallaby/history"
)

// resultsFile is where the results of a replay go as they come, one a line. With
// the state that is kept beside it, a replay that was stopped goes on. Without a
// file results go nowhere.
type resultsFile struct {
	path string
	file *os.File
	to   *bufio.Writer
	// ends is where each line ends that an earlier replay of the same history left.
	ends []int64
}

func openResults(path string, of *history.File) (*resultsFile, error) {
	r := &resultsFile{path: path}
	if path == "" {
		return r, nil
	}
	var err error
	if r.file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644); err != nil {
		return nil, fmt.Errorf("write results: %w", err)
	}
	r.to = bufio.NewWriter(r.file)
	if err := r.read(of); err != nil {
		return nil, errors.Join(err, r.file.Close())
	}
	return r, nil
}

// read takes lines that are there as far as they are of the history's places.
func (r *resultsFile) read(of *history.File) error {
	lines := bufio.NewReader(r.file)
	end := int64(0)
	err := of.Entries(0, of.End().Head, func(record history.Record) error {
		entry, err := record.Entry()
		if err != nil {
			return err
		}
		result, size, err := readResult(lines)
		if err != nil {
			return err
		}
		if result.Nonce != entry.Nonce || result.Assignment != entry.ID {
			return errNoResult
		}
		end += size
		r.ends = append(r.ends, end)
		return nil
	})
	if errors.Is(err, errNoResult) {
		return nil
	}
	return err
}

// errNoResult ends what can be used of a file.
var errNoResult = errors.New("no result")

func readResult(lines *bufio.Reader) (result engine.ReplayResult, size int64, err error) {
	line, err := lines.ReadBytes('\n')
	if errors.Is(err, io.EOF) || err == nil && json.Unmarshal(line, &result) != nil {
		return result, 0, errNoResult // the last line may be half written
	}
	if err != nil {
		return result, 0, fmt.Errorf("read results: %w", err)
	}
	return result, int64(len(line)), nil
}

// have is how many results are known.
func (r *resultsFile) have() uint64 { return uint64(len(r.ends)) }

// stateDir keeps the state of a replay that is not done; "" without a file.
func (r *resultsFile) stateDir() string {
	if r.path == "" {
		return ""
	}
	return r.path + ".state"
}

// begin cuts off what the replay gives again, and compares what it does not.
func (r *resultsFile) begin(nonce uint64, compare func(engine.ReplayResult) (*engine.ReplayClaim, error)) error {
	if r.file == nil {
		return nil
	}
	if _, err := r.file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read results: %w", err)
	}
	lines := bufio.NewReader(r.file)
	for range nonce {
		result, _, err := readResult(lines)
		if err != nil {
			return err
		}
		claim, err := compare(result)
		if err != nil {
			return err
		}
		if claim != nil {
			return verificationError{fmt.Errorf("the replay differs at nonce %d: it has given %s, %s has %s", result.Nonce, result.Result, claim.Whose, claim.Result)}
		}
	}
	end := int64(0)
	if nonce > 0 {
		end = r.ends[nonce-1]
	}
	if err := r.file.Truncate(end); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	if _, err := r.file.Seek(end, io.SeekStart); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	return nil
}

func (r *resultsFile) write(result engine.ReplayResult) error {
	if r.file == nil {
		return nil
	}
	line, err := json.Marshal(result)
	if err == nil {
		_, err = r.to.Write(append(line, '\n'))
	}
	if err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	return nil
}

// flush makes sure that results survive this program.
func (r *resultsFile) flush() error {
	if r.file == nil {
		return nil
	}
	if err := r.to.Flush(); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	return nil
}

// close ends the file. Of a replay that is done, no state is kept.
func (r *resultsFile) close(done bool) error {
	if r.file == nil {
		return nil
	}
	err := errors.Join(r.flush(), r.file.Close())
	if done && err == nil {
		err = os.RemoveAll(r.stateDir())
	}
	return err
}
