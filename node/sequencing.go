package node

import (
	"bytes"
	"context"
	"net/http"
	"strconv"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	aohttp "github.com/wallaby-ao/wallaby/http"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/raft"
)

// sequencing is what the scheduler's routes may ask and change of the order.
type sequencing struct{ node *Node }

var _ aohttp.Sequencing = sequencing{}

// OrderTags are the tags of a signed wish to have a process ordered in a mode
// from an epoch on.
func OrderTags(process ao.ID, mode aolog.Mode, epoch uint64) dataitem.Tags {
	return dataitem.Tags{
		{Name: ao.TagDataProtocol, Value: ao.DataProtocol},
		{Name: ao.TagType, Value: ao.TypeSequencing},
		{Name: ao.TagProcess, Value: process.String()},
		{Name: ao.TagSequencing, Value: mode.String()},
		{Name: ao.TagEpoch, Value: strconv.FormatUint(epoch, 10)},
	}
}

// parseOrder reads a signed wish. Who may have it is not checked.
func parseOrder(item *dataitem.Item) (order raft.Order, err error) {
	order.Item = item.Bytes()
	if !item.Tags.Contains(ao.TagType, ao.TypeSequencing) {
		return order, ao.Errorf(ao.CodeInvalid, "tag Type must be %s", ao.TypeSequencing)
	}
	if order.Process, err = ao.ParseID(item.Tags.Get(ao.TagProcess)); err != nil {
		return order, ao.Errorf(ao.CodeInvalid, "tag Process: %w", err)
	}
	if order.Mode, err = aolog.ParseMode(item.Tags.Get(ao.TagSequencing)); err != nil {
		return order, err
	}
	if order.Epoch, err = strconv.ParseUint(item.Tags.Get(ao.TagEpoch), 10, 64); err != nil || order.Epoch == 0 {
		return order, ao.Errorf(ao.CodeInvalid, "tag Epoch must be the number of the epoch to begin, not %q", item.Tags.Get(ao.TagEpoch))
	}
	return order, nil
}

// Order has a process ordered in another mode. The process's owner may say so,
// and the scheduler.
func (s sequencing) Order(ctx context.Context, item *dataitem.Item) error {
	order, err := parseOrder(item)
	if err != nil {
		return err
	}
	entry, err := s.node.log.Linearizable().Read(ctx, order.Process, 0)
	if err != nil {
		return ao.Errorf(ao.CodeNotFound, "process %s is not known to this scheduler: %w", order.Process, err)
	}
	process, err := entry.Item()
	if err != nil {
		return err
	}
	if !bytes.Equal(item.Owner, process.Owner) && !bytes.Equal(item.Owner, s.node.scheduler.Owner()) {
		return ao.Errorf(ao.CodeUnauthorized, "%s may not say how process %s is ordered: its owner %s may, and the scheduler", item.Address(), order.Process, process.Address())
	}
	return s.node.log.SetSequencing(ctx, order)
}

// Attestations lists operators' signatures under a process's order.
func (s sequencing) Attestations(process ao.ID, from, to uint64, limit int) ([]aolog.Attested, error) {
	return s.node.log.Attestations(process, from, to, limit)
}

// Openings lists the beginnings of a process's epochs after the first.
func (s sequencing) Openings(process ao.ID) ([]aolog.Opening, error) {
	info, err := s.node.log.Sequencing(process)
	return info.History, err
}

// serveSetSequencing signs an order with the scheduler's key, for an operator.
func (n *Node) serveSetSequencing(w http.ResponseWriter, r *http.Request) {
	ctx, query := r.Context(), r.URL.Query()
	process, err := ao.ParseID(query.Get("process"))
	var mode aolog.Mode
	if err == nil {
		mode, err = aolog.ParseMode(query.Get("mode"))
	}
	var head aolog.Head
	if err == nil {
		head, err = n.log.Linearizable().Head(ctx, process)
	}
	var item *dataitem.Item
	if err == nil {
		item, err = dataitem.Create(dataitem.Draft{Tags: OrderTags(process, mode, head.Epoch+1)}, n.scheduler)
	}
	if err == nil {
		err = sequencing{n}.Order(ctx, item)
	}
	if err != nil {
		answer(w, http.StatusBadRequest, "error: "+err.Error()+"\n")
		return
	}
	answer(w, http.StatusOK, "done\n")
}

// serveMoveShard has another group order a shard, and reports the steps.
func (n *Node) serveMoveShard(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	mode, err := aolog.ParseMode(query.Get("mode"))
	var shard int
	if err == nil {
		shard, err = strconv.Atoi(query.Get("shard"))
	}
	var group uint64
	if err == nil {
		group, err = strconv.ParseUint(query.Get("group"), 10, 32)
	}
	say := steps(w)
	if err == nil {
		err = n.log.MoveShard(r.Context(), mode.Voters, shard, uint32(group), say)
	}
	if err != nil {
		say("error: " + err.Error())
		return
	}
	say("done")
}
