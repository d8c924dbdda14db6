package engine

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/singleflight"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/vm"
)

// loadedModulesMax bounds the loaded modules that the engine itself keeps hold
// of; processes keep theirs.
const loadedModulesMax = 64

// loadedModule is a module that a driver accepted. Its bytes are the driver's.
type loadedModule struct {
	published Module // without Bytes
	driver    string
	code      vm.Module
}

// moduleCache loads modules once. It is safe for concurrent use.
type moduleCache struct {
	source  ModuleSource
	drivers []vm.Driver
	rules   map[string]string // format, or "" → driver
	flights singleflight.Group

	mu      sync.Mutex
	recent  *list.List // of *loadedModule, newest first
	entries map[moduleKey]*list.Element
}

type moduleKey struct {
	id     ao.ID
	driver string // what the process asked for, or ""
}

type cachedModule struct {
	key    moduleKey
	module *loadedModule
}

func newModuleCache(o Options) *moduleCache {
	return &moduleCache{source: o.Modules, drivers: o.Drivers, rules: o.Machines, recent: list.New(), entries: map[moduleKey]*list.Element{}}
}

// load gives a module, ready for the driver that the process asked for.
func (c *moduleCache) load(ctx context.Context, id ao.ID, driver string) (*loadedModule, error) {
	key := moduleKey{id, driver}
	if module := c.cached(key); module != nil {
		return module, nil
	}
	loaded, err, _ := c.flights.Do(id.String()+driver, func() (any, error) {
		module, err := c.loadNow(ctx, id, driver)
		if err == nil {
			c.keep(key, module)
		}
		return module, err
	})
	if err != nil {
		return nil, err
	}
	return loaded.(*loadedModule), nil
}

func (c *moduleCache) loadNow(ctx context.Context, id ao.ID, name string) (*loadedModule, error) {
	published, err := c.source.Module(ctx, id)
	if err != nil {
		if _, ok := errors.AsType[*ao.Error](err); ok {
			return nil, err
		}
		return nil, fmt.Errorf("get module %s: %w", id, err)
	}
	format := published.Tags.Get(ao.TagModuleFormat)
	driver, err := c.driver(id, format, name)
	if err != nil {
		return nil, err
	}
	for _, tag := range []string{ao.TagInputEncoding, ao.TagOutputEncoding} {
		if published.Tags.Get(tag) == "" {
			return nil, ao.Errorf(ao.CodeUnprocessable, "%s for module %q is not supported", tag, id)
		}
	}
	module, err := driver.Load(ctx, vm.Source{ID: id, Format: format, Bytes: published.Bytes})
	if unsupported, ok := errors.AsType[*vm.UnsupportedError](err); ok {
		return nil, &ao.Error{Code: ao.CodeUnprocessable, Message: fmt.Sprintf("module %q cannot run here: %s", id, unsupported.Feature), Cause: err}
	}
	if errors.Is(err, context.Canceled) || isLost(err) {
		return nil, err
	}
	if err != nil {
		return nil, &ao.Error{Code: ao.CodeUnprocessable, Message: fmt.Sprintf("module %q cannot be loaded by %s: %v", id, driver.Name(), err), Cause: err}
	}
	published.Bytes = nil
	return &loadedModule{published, driver.Name(), module}, nil
}

// driver picks by name if the process gave one, else by the rules, else by format.
func (c *moduleCache) driver(id ao.ID, format, name string) (vm.Driver, error) {
	names := []string{name}
	if name == "" {
		names = []string{c.rules[format], c.rules[""], ""}
	}
	for i, name := range names {
		if name == "" && i < len(names)-1 {
			continue // there is no such rule
		}
		for _, driver := range c.drivers {
			if (name == "" || name == driver.Name()) && slices.Contains(driver.Formats(), format) {
				return driver, nil
			}
		}
	}
	if name != "" {
		return nil, ao.Errorf(ao.CodeUnprocessable, "tag VM asks for %q, which does not run Module-Format %q here: wallaby vm list shows what there is", name, format)
	}
	return nil, ao.Errorf(ao.CodeUnprocessable, "Module-Format for module %q is not supported", id)
}

func (c *moduleCache) cached(key moduleKey) *loadedModule {
	c.mu.Lock()
	defer c.mu.Unlock()
	element, ok := c.entries[key]
	if !ok {
		return nil
	}
	c.recent.MoveToFront(element)
	return element.Value.(cachedModule).module
}

func (c *moduleCache) keep(key moduleKey, module *loadedModule) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.entries[key]; ok {
		return
	}
	c.entries[key] = c.recent.PushFront(cachedModule{key, module})
	if c.recent.Len() > loadedModulesMax {
		oldest := c.recent.Remove(c.recent.Back()).(cachedModule)
		delete(c.entries, oldest.key)
	}
}

// definition is what a process is made of: its item and its module.
type definition struct {
	process *dataitem.Item
	module  *loadedModule
	limits  limits
	env     []byte
	// authorities are whose pushes count.
	authorities ao.Authorities
	crons       *schedule // nil: none
}

// define reads a process's definition from its first log entry, on the machine
// that was chosen for it here.
func (e *Engine) define(ctx context.Context, process ao.ID) (*definition, error) {
	if made := e.choices.of(process); made.VM != "" {
		return e.defineOn(ctx, process, &made.VM)
	}
	return e.defineOn(ctx, process, nil)
}

// defineOn has another machine run the process than it asks for.
func (e *Engine) defineOn(ctx context.Context, process ao.ID, machine *string) (*definition, error) {
	entry, err := e.options.Log.Read(ctx, process, 0)
	if err != nil {
		return nil, fmt.Errorf("read process %s: %w", process, err)
	}
	if entry.IsBare() {
		return nil, ao.Errorf(ao.CodeUnprocessable, "process %s cannot run: its log does not begin with the process itself", process)
	}
	item, err := entry.Item()
	if err != nil {
		return nil, fmt.Errorf("parse process %s: %w", process, err)
	}
	id, err := ao.ParseID(item.Tags.Get(ao.TagModule))
	if err != nil {
		return nil, ao.Errorf(ao.CodeUnprocessable, "process %s names no module: %w", process, err)
	}
	driver := item.Tags.Get(ao.TagVM)
	if machine != nil {
		driver = *machine
	}
	module, err := e.modules.load(ctx, id, driver)
	if err != nil {
		return nil, err
	}
	return newDefinition(entry, item, module, &e.options)
}

// newDefinition reads what a process asks for in its first entry.
func newDefinition(entry aolog.Entry, item *dataitem.Item, module *loadedModule, o *Options) (*definition, error) {
	bounds, err := readLimits(entry.Process, item.Tags, module.published.Tags, o.MemoryMaxBytes, o.ComputeMax)
	if err != nil {
		return nil, err
	}
	authorities, err := ao.ReadAuthorities(item.Tags)
	if err != nil {
		return nil, ao.Errorf(ao.CodeUnprocessable, "process %s cannot run: %w", entry.Process, err)
	}
	crons, err := scheduleOf(entry, o.Blocks)
	if err != nil {
		return nil, err
	}
	return &definition{
		process: item, module: module, limits: bounds, env: appendEnv(nil, item, module.published), authorities: authorities, crons: crons,
	}, nil
}
