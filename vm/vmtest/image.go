package vmtest

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/wallaby-ao/wallaby/vm"
)

// ResumeImage has the reference loader run the first messages, takes its whole
// memory, which is what a checkpoint of the reference compute unit holds, and has a
// driver go on from there: the rest comes to what the loader comes to. toState makes
// a state of a memory.
func ResumeImage(t *testing.T, driver vm.Driver, toState func([]byte) (*vm.State, error), module, format string, messages [][]byte, first int) {
	path := ModulePath(t, module)
	oracle := StartOracle(t, OracleOptions{Module: path, Format: format, GasLimit: GasLimit})
	for _, message := range messages[:first] {
		if _, err := oracle.Handle(message, Env()); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "memory")
	if err := oracle.Save(file); err != nil {
		t.Fatal(err)
	}
	memory, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	image, err := toState(memory)
	if err != nil {
		t.Fatal(err)
	}
	source, err := readSource(path, format)
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := driver.Load(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	process, err := loaded.New(t.Context(), vm.Config{}, image.Reader())
	if err != nil {
		t.Fatal(err)
	}
	defer process.Close()
	if !slices.Equal(memoryOf(t, process, len(memory)), memory) {
		t.Error("the memory is not that of the image")
	}
	for i, message := range messages[first:] {
		want, err := oracle.Handle(message, Env())
		if err != nil {
			t.Fatal(err)
		}
		got, err := process.Handle(t.Context(), vm.Call{Message: message, Env: Env(), GasLimit: GasLimit})
		compare(t, first+i, message, got, err, want)
		if err != nil {
			if err := process.Rollback(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, size := range []int{0, vm.PageBytes - 1, vm.PageBytes + 1} {
		if _, err := toState(make([]byte, size)); err == nil {
			t.Errorf("%d bytes are an image", size)
		}
	}
}

func memoryOf(t *testing.T, p vm.Process, size int) []byte {
	t.Helper()
	s := TakeSnapshot(t, p)
	memory := make([]byte, max(size, int(s.MemoryBytes)))
	for index, page := range s.Pages {
		copy(memory[int(index)*vm.PageBytes:], page)
	}
	return memory
}
