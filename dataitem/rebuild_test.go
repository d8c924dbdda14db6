package dataitem

import (
	"bytes"
	"errors"
	"testing"
)

func TestRebuildGivesTheBytesThatWereSigned(t *testing.T) {
	for name, signer := range testSigners(t) {
		draft := Draft{Target: make([]byte, 32), Tags: Tags{{"Action", "Ping"}}, Data: []byte("x")}
		item, err := Create(draft, signer)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Rebuild(draft, item.Owner, item.Signature)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !bytes.Equal(again.Bytes(), item.Bytes()) {
			t.Fatalf("%s: other bytes", name)
		}
	}
}

func TestRebuildTriesEveryTypeOfTheLength(t *testing.T) {
	for _, v := range readVectors(t, "items_valid.json") {
		item, err := Parse(v.Raw)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Rebuild(Draft{item.Target, item.Anchor, item.Tags, item.Data}, item.Owner, item.Signature)
		if item.SignatureType == MultiAptos {
			if !errors.Is(err, ErrSignature) {
				t.Fatalf("a type that is refused: %v", err)
			}
			continue
		}
		if err != nil || again.SignatureType != item.SignatureType || !bytes.Equal(again.Bytes(), item.Bytes()) {
			t.Fatalf("%s: %v", item.SignatureType, err)
		}
	}
}

func TestRebuildSaysWhenAFieldIsNotWhatWasSigned(t *testing.T) {
	signer := testSigners(t)["ethereum"]
	item, err := Create(Draft{Data: []byte{0xff}}, signer)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Rebuild(Draft{Data: []byte("\uFFFD")}, item.Owner, item.Signature)
	if !errors.Is(err, ErrSignature) || again == nil || again.ID() != item.ID() {
		t.Fatalf("got %v", err)
	}
	if _, err := Rebuild(Draft{}, item.Owner, item.Signature[1:]); !errors.Is(err, ErrSignatureType) {
		t.Fatalf("a signature of no type: %v", err)
	}
	if _, err := Rebuild(Draft{Target: []byte{1}}, item.Owner, item.Signature); !errors.Is(err, ErrFormat) {
		t.Fatalf("a short target: %v", err)
	}
}
