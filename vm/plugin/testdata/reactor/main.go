//go:build wasip1

// Command reactor is an ao module that does what a Go program's runtime asks a WASI host
// for: chance, time, waiting, memory, goroutines. Its message is the name of what to do.
package main

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"
	"unsafe"
)

var (
	buffers [][]byte
	answer  []byte
	kept    = map[string]int{}
	began   = time.Now()
)

//go:wasmexport emscripten_stack_get_current
func stackCurrent() uint32 { return uint32(len(buffers)) }

//go:wasmexport _emscripten_stack_restore
func stackRestore(to uint32) { buffers = buffers[:to] }

//go:wasmexport _emscripten_stack_alloc
func stackAlloc(size uint32) unsafe.Pointer {
	buffer := make([]byte, size)
	buffers = append(buffers, buffer)
	return unsafe.Pointer(unsafe.SliceData(buffer))
}

//go:wasmexport handle
func handle(_, _ unsafe.Pointer) unsafe.Pointer {
	message := buffers[len(buffers)-2]
	var command string
	if err := json.Unmarshal(message[:len(message)-1], &command); err != nil {
		panic(err)
	}
	response, err := json.Marshal(map[string]any{"ok": true, "response": map[string]string{"Output": do(command)}})
	if err != nil {
		panic(err)
	}
	answer = append(response, 0)
	return unsafe.Pointer(unsafe.SliceData(answer))
}

func do(command string) string {
	switch command {
	case "chance":
		return fmt.Sprint(rand.Uint64(), rand.Perm(9))
	case "order":
		var names []string
		for name := range kept { // in an order that Go leaves to chance
			names = append(names, name)
		}
		return strings.Join(names, " ")
	case "keep":
		kept[fmt.Sprintf("name %d", len(kept))] = len(kept)
		return fmt.Sprint(len(kept))
	case "time":
		return fmt.Sprint(time.Now().Format(time.RFC3339Nano), " ", time.Since(began))
	case "sleep":
		from := time.Now()
		time.Sleep(time.Hour)
		return fmt.Sprint(time.Since(from) >= time.Hour)
	case "soonest":
		select {
		case <-time.After(time.Minute):
			return "a minute"
		case <-time.After(time.Second):
			return "a second"
		}
	case "crowd":
		return fmt.Sprint(crowd())
	case "leave":
		go func() {
			time.Sleep(time.Second)
			kept["left"] = 1
		}()
		return "left"
	case "garbage":
		var held [][]byte
		for i := range 3000 {
			if held = append(held, make([]byte, 1000+i)); len(held) > 100 {
				held = held[50:]
			}
		}
		runtime.GC()
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		return fmt.Sprint(memory.NumGC, memory.Mallocs)
	case "file":
		_, err := os.ReadFile("/etc/passwd")
		return fmt.Sprint(err, os.Args, os.Environ())
	case "print":
		n, err := fmt.Println("nobody reads this")
		return fmt.Sprint(n, err)
	case "panic":
		kept["lost"] = 1
		panic("as asked")
	case "wait":
		kept["lost"] = 1
		<-make(chan int)
	}
	return "what?"
}

// crowd has goroutines wait for each other.
func crowd() (sum int) {
	var lock sync.Mutex
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			time.Sleep(time.Duration(50-i) * time.Millisecond)
			lock.Lock()
			defer lock.Unlock()
			sum = sum*3%1_000_003 + i
		})
	}
	all.Wait()
	return sum
}

func main() {}
