package log_test

import (
	"testing"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

// TestWhoHasJustSignedIsBelieved: a messenger's own item is not verified once more,
// anybody else's always is, and both must have the right tags.
func TestWhoHasJustSignedIsBelieved(t *testing.T) {
	item := logtest.MessageItem(t, logtest.Signer(t, 9), ao.ID{1}, "x")
	raw := append([]byte(nil), item.Bytes()...)
	raw[len(raw)-1] ^= 1
	changed, err := dataitem.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := (log.Proposal{Item: changed, Own: true}).Prepare(); err != nil || p.Process != (ao.ID{1}) {
		t.Errorf("its own item gives %v, %v", p.Process, err)
	}
	if _, err := (log.Proposal{Item: changed}).Prepare(); ao.CodeOf(err) != ao.CodeInvalid {
		t.Errorf("a changed item gives %v", err)
	}
	bare, err := dataitem.Create(dataitem.Draft{}, logtest.Signer(t, 9))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (log.Proposal{Item: bare, Own: true}).Prepare(); ao.CodeOf(err) != ao.CodeInvalid {
		t.Errorf("its own item without tags gives %v", err)
	}
}
