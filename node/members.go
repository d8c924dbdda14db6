package node

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/raft"
)

// serveTransfer has another node lead a group.
func (n *Node) serveTransfer(w http.ResponseWriter, r *http.Request) {
	group, err := strconv.ParseUint(r.URL.Query().Get("group"), 10, 32)
	if err == nil {
		err = n.log.TransferLead(r.Context(), uint32(group), r.URL.Query().Get("node"))
	}
	if err != nil {
		answer(w, http.StatusBadRequest, "error: "+err.Error()+"\n")
		return
	}
	answer(w, http.StatusOK, "done\n")
}

// serveMembers changes who is in the cluster and who votes, and reports the steps.
func (n *Node) serveMembers(w http.ResponseWriter, r *http.Request) {
	ctx, query, say := r.Context(), r.URL.Query(), steps(w)
	var err error
	switch r.URL.Path {
	case PathAddNode:
		var operator ao.ID
		if operator, err = ao.ParseID(query.Get("operator")); err == nil {
			err = n.log.AddMember(ctx, raft.Member{ID: query.Get("node"), Address: query.Get("address"), Operator: operator})
		}
	case PathRemoveNode:
		err = n.log.RemoveMember(ctx, query.Get("node"), say)
	case PathReplaceNode:
		err = n.log.ReplaceMember(ctx, query.Get("node"), query.Get("by"), say)
	case PathMoveGroup:
		var group uint64
		if group, err = strconv.ParseUint(query.Get("group"), 10, 32); err == nil {
			err = n.log.MoveVote(ctx, uint32(group), query.Get("from"), query.Get("to"))
		}
	default:
		err = fmt.Errorf("no such change: %s", r.URL.Path)
	}
	if err != nil {
		say("error: " + err.Error())
		return
	}
	say("done")
}

// CreateMember makes the directory of a node that is added to a cluster made by
// CreateCluster in dir, and gives the node with its operator's address. It makes
// nothing anew that is there.
func CreateMember(dir string, member Member, portBase int, now time.Time) (Member, error) {
	authority, err := raft.LoadAuthority(dir)
	if err != nil {
		return member, fmt.Errorf("%w: name the directory that cluster init made", err)
	}
	f, err := readClusterFile(dir)
	if err != nil {
		return member, err
	}
	operator, err := OpenWallet(filepath.Join(NodeDir(dir, member.ID), walletsDir, operatorWallet), dataitem.Ethereum)
	if err != nil {
		return member, err
	}
	member.Operator = dataitem.AddressOf(operator.Owner())
	if _, err := os.Stat(NodeFile(dir, member.ID)); !errors.Is(err, fs.ErrNotExist) {
		return member, err
	}
	plan := ClusterPlan{Name: f.Cluster, Members: append(slices.Clone(f.Nodes), member), Founders: f.founders(), Sequencing: f.Sequencing, Chain: f.Chain}
	return member, createNode(dir, plan, member, portBase, authority, now)
}

// readClusterFile reads the file of any node of a cluster in dir.
func readClusterFile(dir string) (f File, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.yaml"))
	if err != nil || len(files) == 0 {
		return f, fmt.Errorf("%s holds no node's file: name the directory that cluster init made", dir)
	}
	return decodeFile(files[0])
}

// founders are the nodes that a file's cluster began with.
func (f File) founders() []string {
	if len(f.Founders) > 0 {
		return f.Founders
	}
	return (&Cluster{Members: f.Nodes}).ids()
}
