package ao

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/dataitem"
)

func filledID(b byte) ID {
	var id ID
	for i := range id {
		id[i] = b
	}
	return id
}

func TestHashChainEqualsTheReferenceVectors(t *testing.T) {
	first := FirstHashChain(ID{})
	second := NextHashChain(filledID(1), first)
	third := NextHashChain(filledID(2), second)
	got := []string{first.String(), second.String(), third.String()}
	want := []string{
		"Zmh6rfhivXdsj8GLjp-OIAiXFIVu4jOzkCpZHQ1fKSU",
		"DTGKcZffCrLkldlr542yRI1RuSZJNY4PZiW62l3o8kE",
		"2_v80sE1nSV05RFuuLextVU_X_5tpGs831HoMstDyQE",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
}

func TestAssignmentTagsAreInTheReferenceOrder(t *testing.T) {
	a := Assignment{
		Process: filledID(1), Message: filledID(2), Epoch: 0, Nonce: 7, HashChain: filledID(3),
		BlockHeight: 1587000, TimestampMS: 1735689600123, Exclude: []string{"Data", "Tags"},
	}
	want := dataitem.Tags{
		{Name: "Process", Value: filledID(1).String()},
		{Name: "Epoch", Value: "0"},
		{Name: "Nonce", Value: "7"},
		{Name: "Hash-Chain", Value: filledID(3).String()},
		{Name: "Block-Height", Value: "000001587000"},
		{Name: "Timestamp", Value: "1735689600123"},
		{Name: "Data-Protocol", Value: "ao"},
		{Name: "Type", Value: "Assignment"},
		{Name: "Variant", Value: "ao.TN.1"},
		{Name: "Message", Value: filledID(2).String()},
		{Name: "Exclude", Value: "Data"},
		{Name: "Exclude", Value: "Tags"},
	}
	if diff := cmp.Diff(want, a.Tags()); diff != "" {
		t.Fatal(diff)
	}
	a.Message = ID{}
	if a.Tags().Has(TagMessage) {
		t.Fatal("the assignment of a process itself must not name a message")
	}
}
