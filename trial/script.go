package trial

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/engine"
)

// request is what a test wants of its world.
type request struct {
	Do       string // what, as in script.do
	Process  string
	Name     string
	Seconds  float64
	Deliver  bool
	Message  sentMessage
	From     string
	Data     string
	Module   string
	Tags     table
	TagArray dataitem.Tags
}

type sentMessage struct {
	From *string
	Data string
	Tags table
}

// table is one of Lua's with texts in it; an empty one may come as a list.
type table map[string]string

// UnmarshalJSON reads it.
func (t *table) UnmarshalJSON(b []byte) error {
	if string(b) == "[]" {
		return nil
	}
	return json.Unmarshal(b, (*map[string]string)(t))
}

// script carries out what one test asks for.
type script struct {
	world       *World
	module      func(ctx context.Context, path string) (*dataitem.Item, error)
	owners      map[ao.ID]string
	results     map[ao.ID][]json.RawMessage
	byMessage   map[ao.ID]Step
	undelivered []string
}

// defaultOwner spawns processes unless a test says who does.
const defaultOwner = "owner"

func newScript(world *World, module func(context.Context, string) (*dataitem.Item, error)) *script {
	s := &script{world: world, module: module, owners: map[ao.ID]string{}, results: map[ao.ID][]json.RawMessage{}, byMessage: map[ao.ID]Step{}}
	world.Watch = s.note
	return s
}

// note keeps what came of every step.
func (s *script) note(step Step) {
	if step.Message != nil {
		s.byMessage[step.Message.ID()] = step
	}
	for _, problem := range step.Undelivered {
		s.undelivered = append(s.undelivered, problem.Error())
	}
	if step.Failure != nil {
		s.undelivered = append(s.undelivered, fmt.Sprintf("process %s: %v", step.Process, step.Failure))
		return
	}
	s.results[step.Process] = append(s.results[step.Process], step.Result.JSON())
}

// do carries out a request and gives what it comes to.
func (s *script) do(ctx context.Context, r request) (any, error) {
	switch r.Do {
	case "spawn":
		return s.spawn(ctx, r)
	case "send":
		return s.send(ctx, r)
	case "dryrun":
		return s.dryRun(ctx, r)
	case "results":
		id, err := ao.ParseID(r.Process)
		return orEmpty(s.results[id]), err
	case "address":
		return s.world.Address(r.Name)
	case "deliver":
		_, err := s.world.Run(ctx)
		return nil, err
	case "advance":
		if r.Seconds < 0 {
			return nil, fmt.Errorf("time does not go back: advance(%v)", r.Seconds)
		}
		_, err := s.world.Advance(ctx, int64(r.Seconds*1000))
		return nil, err
	case "now":
		return s.world.nowMS, nil
	case "mail":
		return s.mail(r.Name)
	case "undelivered":
		return orEmpty(s.undelivered), nil
	}
	return nil, fmt.Errorf("a test asks for %q, which nobody knows", r.Do)
}

// orEmpty keeps an empty list from becoming null.
func orEmpty[T any](list []T) []T { return append([]T{}, list...) }

func tagsOf(given table) (tags dataitem.Tags) {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		tags = append(tags, dataitem.Tag{Name: name, Value: given[name]})
	}
	return tags
}

func (s *script) spawn(ctx context.Context, r request) (any, error) {
	module, err := s.module(ctx, r.Module)
	if err != nil {
		return nil, err
	}
	if r.From == "" {
		r.From = defaultOwner
	}
	item, err := s.world.Spawn(s.world.AddModule(module), Message{From: r.From, Tags: append(tagsOf(r.Tags), r.TagArray...), Data: or(r.Data, " ")})
	if err != nil {
		return nil, err
	}
	if _, err := s.world.Post(ctx, item); err != nil {
		return nil, err
	}
	s.owners[item.ID()] = r.From
	if err := s.until(ctx, item.ID(), true); err != nil {
		return nil, err
	}
	step := s.byMessage[item.ID()]
	if step.Failure != nil {
		return nil, step.Failure
	}
	if step.Result.Error != nil {
		return nil, fmt.Errorf("the process cannot start: %s", step.Result.Error)
	}
	return map[string]any{"Id": item.ID(), "Owner": item.Address(), "Module": module.ID()}, nil
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// sender says who sends a message: whom it names, else the process's owner.
func (s *script) sender(process ao.ID, m sentMessage) string {
	if m.From != nil {
		return *m.From
	}
	if owner, ok := s.owners[process]; ok {
		return owner
	}
	return defaultOwner
}

func (s *script) send(ctx context.Context, r request) (any, error) {
	process, err := s.known(r.Process)
	if err != nil {
		return nil, err
	}
	item, err := s.world.Message(process, Message{From: s.sender(process, r.Message), Tags: tagsOf(r.Message.Tags), Data: r.Message.Data})
	if err != nil {
		return nil, err
	}
	if _, err := s.world.Post(ctx, item); err != nil {
		return nil, err
	}
	if err := s.until(ctx, item.ID(), r.Deliver); err != nil {
		return nil, err
	}
	step := s.byMessage[item.ID()]
	return json.RawMessage(step.Result.JSON()), step.Failure
}

// until steps until a message is evaluated, or on until nothing waits.
func (s *script) until(ctx context.Context, message ao.ID, all bool) error {
	for {
		if _, seen := s.byMessage[message]; seen {
			break
		}
		if _, any, err := s.world.Step(ctx); err != nil || !any {
			return err
		}
	}
	if !all {
		return nil
	}
	_, err := s.world.Run(ctx)
	return err
}

func (s *script) known(text string) (ao.ID, error) {
	id, err := ao.ParseID(text)
	if err == nil && s.world.processes[id] == nil {
		err = ao.Errorf(ao.CodeNotFound, "process %s is not in this world", text)
	}
	return id, err
}

func (s *script) dryRun(ctx context.Context, r request) (any, error) {
	process, err := s.known(r.Process)
	if err != nil {
		return nil, err
	}
	owner, err := s.world.Address(s.sender(process, r.Message))
	if err != nil {
		return nil, err
	}
	result, err := s.world.DryRun(ctx, process, engine.DryRunMessage{Owner: owner, Tags: tagsOf(r.Message.Tags), Data: &r.Message.Data})
	if err != nil {
		return nil, err
	}
	return json.RawMessage(result.JSON()), nil
}

func (s *script) mail(name string) (any, error) {
	address, err := s.world.Address(name)
	type letter struct {
		Id, From, Data string
		Tags           dataitem.Tags
	}
	letters := []letter{}
	for _, item := range s.world.Mail(address) {
		from := item.Tags.Get(ao.TagFromProcess)
		letters = append(letters, letter{item.ID().String(), or(from, item.Address()), string(item.Data), item.Tags})
	}
	return letters, err
}
