//go:build wasip1

package main

import (
	"encoding/json"
	"fmt"
	"unsafe"
)

// Tag is a name and a value of a message.
type Tag struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Message is what a process is sent.
type Message struct {
	ID     string `json:"Id"`
	From   string
	Owner  string
	Target string
	Data   string
	Tags   []Tag
	// Raw is all of the message as JSON: Timestamp, Block-Height and more.
	Raw json.RawMessage `json:"-"`
	// Environment is that of the process: its own id, owner and tags, and its module's.
	Environment json.RawMessage `json:"-"`
}

// Tag gives the value of the first tag of a name, or "".
func (m *Message) Tag(name string) string {
	for _, tag := range m.Tags {
		if tag.Name == name {
			return tag.Value
		}
	}
	return ""
}

// Response is what a message brings about.
type Response struct {
	Messages []Outgoing
	Spawns   []Outgoing
	// Assignments has this process, or others, assigned what is on Arweave.
	Assignments []Assignment
	// Output is what a person sees.
	Output string
}

// Outgoing is a message that is sent, or a process that is spawned.
type Outgoing struct {
	Target string `json:",omitempty"`
	Anchor string
	Data   string
	Tags   []Tag
}

// Assignment is of an item, by its id, to processes.
type Assignment struct {
	Message   string
	Processes []string
}

// sent counts: every message that is sent needs an anchor of 32 bytes of its own.
var sent uint64

// Send sends a message.
func (r *Response) Send(target, data string, tags ...Tag) {
	r.Messages = append(r.Messages, outgoing("Message", target, data, tags))
}

// Spawn makes a process of a module, by the module's id.
func (r *Response) Spawn(module, data string, tags ...Tag) {
	r.Spawns = append(r.Spawns, outgoing("Process", "", data, append([]Tag{{"Module", module}}, tags...)))
}

func outgoing(kind, target, data string, tags []Tag) Outgoing {
	sent++
	tags = append([]Tag{{"Data-Protocol", "ao"}, {"Variant", "ao.TN.1"}, {"Type", kind}}, tags...)
	return Outgoing{Target: target, Anchor: fmt.Sprintf("%032d", sent), Data: data, Tags: tags}
}

// What follows is called by compute units, which put a message and its environment where
// the stack functions say. The buffers are held here, for as long as they are in use.
var (
	buffers [][]byte
	result  []byte
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
func handle(message, environment unsafe.Pointer) unsafe.Pointer {
	result = append(respond(text(message), text(environment)), 0)
	return unsafe.Pointer(unsafe.SliceData(result))
}

// text reads a string that ends with a zero byte.
func text(at unsafe.Pointer) []byte {
	n := 0
	for *(*byte)(unsafe.Add(at, n)) != 0 {
		n++
	}
	return unsafe.Slice((*byte)(at), n)
}

func respond(raw, environment []byte) []byte {
	message := Message{Raw: raw, Environment: environment}
	err := json.Unmarshal(raw, &message)
	var response *Response
	if err == nil {
		response, err = recovered(&message)
	}
	if err != nil {
		return encode(map[string]any{"ok": true, "response": map[string]any{"Error": err.Error()}})
	}
	return encode(map[string]any{"ok": true, "response": map[string]any{
		"Messages":    orNone(response.Messages),
		"Spawns":      orNone(response.Spawns),
		"Assignments": orNone(response.Assignments),
		"Output":      map[string]string{"data": response.Output},
	}})
}

// recovered makes an error of a panic, which would else be known as "unreachable" alone.
func recovered(message *Message) (response *Response, err error) {
	defer func() {
		if why := recover(); why != nil {
			err = fmt.Errorf("panic: %v", why)
		}
	}()
	return Handle(message)
}

// orNone writes an empty list as [], where Go would write null.
func orNone[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func encode(value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return text
}

// main is not run; a program needs one.
func main() {}
