package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/vm/wasm"
)

// Module is a module that the node was started with.
type Module struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Format string `json:"format"`
	// Pinned says that the id is one that clients have hard-coded: it was
	// given, not computed, and nothing proves that the file belongs to it.
	Pinned bool `json:"pinned"`
}

// The limits that a published module gets unless its publisher names others.
const (
	moduleMemoryLimit  = "1-gb"
	moduleComputeLimit = "9000000000000"
)

// ModuleTags are the tags of a module file; those given win over the usual.
func ModuleTags(bytes []byte, given dataitem.Tags) (dataitem.Tags, error) {
	tags := append(dataitem.Tags(nil), given...)
	add := func(name, value string) {
		if !given.Has(name) {
			tags = append(tags, dataitem.Tag{Name: name, Value: value})
		}
	}
	add(ao.TagDataProtocol, ao.DataProtocol)
	add(ao.TagVariant, ao.Variant)
	add(ao.TagType, ao.TypeModule)
	if !given.Has(ao.TagModuleFormat) {
		format, err := wasm.DetectFormat(bytes)
		if err != nil {
			return nil, err
		}
		add(ao.TagModuleFormat, format)
	}
	add(ao.TagInputEncoding, "JSON-1")
	add(ao.TagOutputEncoding, "JSON-1")
	add(ao.TagMemoryLimit, moduleMemoryLimit)
	add(ao.TagComputeLimit, moduleComputeLimit)
	add(ao.TagContentType, "application/wasm")
	return tags, nil
}

// ModuleItem signs a module file, ready to be uploaded. Signing is
// deterministic, so the same file has the same id at every start.
func ModuleItem(bytes []byte, given dataitem.Tags, signer dataitem.Signer) (*dataitem.Item, error) {
	tags, err := ModuleTags(bytes, given)
	if err != nil {
		return nil, err
	}
	return dataitem.Create(dataitem.Draft{Tags: tags, Data: bytes}, signer)
}

func (n *Node) publishModules(ctx context.Context) error {
	for _, file := range n.options.Modules {
		module, err := n.publishModule(ctx, file)
		if err != nil {
			return err
		}
		n.modules = append(n.modules, module)
	}
	return nil
}

func (n *Node) publishModule(ctx context.Context, file ModuleFile) (Module, error) {
	name := strings.TrimSuffix(filepath.Base(file.Path), ".wasm")
	bytes, err := os.ReadFile(file.Path)
	if err != nil {
		return Module{}, fmt.Errorf("cannot read module %s (%w): check the path given to --module", file.Path, cause(err))
	}
	given := dataitem.Tags{{Name: "Name", Value: name}}
	if !file.ID.IsZero() {
		tags, err := ModuleTags(bytes, given)
		if err == nil {
			err = n.gateway.Pin(ctx, file.ID, tags, bytes)
		}
		if err != nil {
			return Module{}, fmt.Errorf("module %s: %w", file.Path, err)
		}
		return Module{ID: file.ID.String(), Name: name, Format: tags.Get(ao.TagModuleFormat), Pinned: true}, nil
	}
	item, err := ModuleItem(bytes, given, n.authority)
	if err == nil {
		_, err = n.gateway.PutItem(ctx, item)
	}
	if err != nil {
		return Module{}, fmt.Errorf("module %s: %w", file.Path, err)
	}
	return Module{ID: item.ID().String(), Name: name, Format: item.Tags.Get(ao.TagModuleFormat)}, nil
}

// publishSchedulerLocation tells the network, which is this node's own gateway,
// where the scheduler is. The item is deterministic, so it is new only when the
// address is.
func (n *Node) publishSchedulerLocation(ctx context.Context) error {
	url := n.options.SchedulerURL
	if url == "" {
		url = n.Info().URLs.SU
	}
	item, err := dataitem.Create(dataitem.Draft{
		Tags: dataitem.Tags{
			{Name: ao.TagDataProtocol, Value: ao.DataProtocol},
			{Name: ao.TagVariant, Value: ao.Variant},
			{Name: ao.TagType, Value: ao.TypeSchedulerLocation},
			{Name: ao.TagURL, Value: url},
			{Name: ao.TagTimeToLive, Value: "3600000"},
			// Newer locations replace older ones, also when a node goes back to
			// an address it had before.
			{Name: ao.TagTimestamp, Value: fmt.Sprint(n.options.Now().UnixMilli())},
		},
		Data: []byte("1984"),
	}, n.scheduler)
	if err != nil {
		return fmt.Errorf("sign the Scheduler-Location: %w", err)
	}
	if _, err := n.gateway.PutItem(ctx, item); err != nil {
		return fmt.Errorf("publish the Scheduler-Location: %w", err)
	}
	return nil
}
