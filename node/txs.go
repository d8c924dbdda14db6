package node

import (
	"context"
	"encoding/json"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/arweave"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// txQuestion asks another node for a base-layer transaction. Data items come by
// the gateway's own fallback.
type txQuestion struct {
	ID       ao.ID `json:"id"`
	WithData bool  `json:"withData,omitempty"`
}

// txAnswer is a transaction and how it lies at the node that answers. The data is
// there if it was asked for and is all there.
type txAnswer struct {
	Standing aolog.Standing `json:"standing"`
	Tx       *arweave.Tx    `json:"tx"`
}

// answerTx gives a transaction that this node itself has.
func (n *Node) answerTx(ctx context.Context, _ string, body []byte) ([]byte, error) {
	var question txQuestion
	if err := json.Unmarshal(body, &question); err != nil {
		return nil, ao.Errorf(ao.CodeInvalid, "a transaction's id: %w", err)
	}
	record, err := n.gateway.StoredTx(ctx, question.ID)
	if err != nil {
		return nil, err
	}
	answer := txAnswer{Tx: record.Tx}
	if answer.Standing, err = standingOf(n.gateway, record); err != nil {
		return nil, err
	}
	if question.WithData && answer.Standing.Whole && record.DataSize <= aolog.AssignedBytesMax {
		if answer.Tx.Data, err = n.gateway.Data(ctx, question.ID); err != nil {
			return nil, err
		}
	}
	return json.Marshal(answer)
}

// peerTx asks one node after the other for a transaction, and believes none what it
// says: the signature must be right, and all data there if it is wanted.
func (n *Node) peerTx(ctx context.Context, id ao.ID, withData bool) (txAnswer, error) {
	missing := ao.Errorf(ao.CodeNotFound, "%s is at none of the nodes that can be reached", id)
	question, err := json.Marshal(txQuestion{id, withData})
	if n.transport == nil || err != nil {
		return txAnswer{}, missing
	}
	for _, peer := range n.options.Cluster.ids() {
		if !n.transport.Connected(peer) {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, itemTimeout)
		b, err := n.transport.Call(ctx, peer, callTx, question)
		cancel()
		if err != nil {
			continue
		}
		var answer txAnswer
		if json.Unmarshal(b, &answer) != nil || answer.Tx == nil || answer.Tx.ID != id || answer.Tx.Verify() != nil {
			continue
		}
		if !withData || answer.Tx.DataSize == 0 || answer.Tx.CheckData(answer.Tx.Data) == nil {
			return answer, nil
		}
	}
	return txAnswer{}, missing
}
