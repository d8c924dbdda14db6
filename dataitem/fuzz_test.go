package dataitem

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"math/big"
	"testing"
)

// FuzzParse holds that whatever parses gives back its own bytes and tags.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"items_valid.json", "items_debatable.json"} {
		for _, v := range readVectors(f, name) {
			if len(v.Raw) < 2500 {
				f.Add([]byte(v.Raw))
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		it, err := Parse(b)
		if err != nil {
			return
		}
		if !bytes.Equal(it.Bytes(), b) {
			t.Fatal("the raw bytes changed")
		}
		tagBytes, err := encodeTags(it.Tags)
		if err != nil {
			// An odd but legal encoding may be shorter than the canonical one.
			return
		}
		again, err := decodeTags(tagBytes)
		if err != nil || len(again) != len(it.Tags) {
			t.Fatalf("tags do not survive encoding: %v", err)
		}
	})
}

// FuzzBundle holds that whatever parses as a bundle encodes to the same bytes.
func FuzzBundle(f *testing.F) {
	for _, v := range readVectors(f, "bundles.json") {
		if len(v.Raw) < 8192 {
			f.Add([]byte(v.Raw))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		items, err := ParseBundle(b)
		if err != nil {
			return
		}
		again, err := EncodeBundle(items...)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("the bundle changed: %v", err)
		}
	})
}

// FuzzTags holds that decoding never gives more text than there are bytes.
func FuzzTags(f *testing.F) {
	for _, v := range readVectors(f, "items_debatable.json") {
		if it, err := Parse(v.Raw); err == nil {
			f.Add(it.TagBytes)
		}
	}
	f.Add([]byte{2, 2, 'a', 2, 'b', 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		tags, err := decodeTags(b)
		if err != nil {
			return
		}
		total := 0
		for _, tag := range tags {
			total += len(tag.Name) + len(tag.Value)
		}
		if total > len(b) || len(tags) > TagsMax {
			t.Fatalf("%d bytes of text in %d tags out of %d bytes", total, len(tags), len(b))
		}
	})
}

// FuzzVerifyPSS holds our RSA verification equal to crypto/rsa's.
func FuzzVerifyPSS(f *testing.F) {
	for _, v := range readVectors(f, "items_valid.json") {
		if v.SignatureType != Arweave {
			continue
		}
		it, err := Parse(v.Raw)
		if err != nil {
			f.Fatal(err)
		}
		message := it.SigningMessage()
		f.Add(it.Owner, message[:], it.Signature, uint16(0), byte(0))
		f.Add(it.Owner, message[:], it.Signature, uint16(17), byte(1))
		f.Add(it.Owner, message[:], it.Signature, uint16(511), byte(128))
	}
	f.Fuzz(func(t *testing.T, modulus, message, signature []byte, at uint16, flip byte) {
		signature = append([]byte(nil), signature...)
		if int(at) < len(signature) {
			signature[at] ^= flip
		}
		ours, theirs := VerifyPSS(modulus, message, signature) == nil, verifyPSSStdlib(modulus, message, signature)
		if ours != theirs {
			t.Fatalf("we say %v, crypto/rsa says %v", ours, theirs)
		}
	})
}

func verifyPSSStdlib(modulus, message, signature []byte) bool {
	if len(modulus) != rsaBytes || modulus[0]&0x80 == 0 || modulus[rsaBytes-1]&1 == 0 {
		return false
	}
	digest := sha256.Sum256(message)
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: rsaExponent}
	options := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto, Hash: crypto.SHA256}
	return rsa.VerifyPSS(key, crypto.SHA256, digest[:], signature, options) == nil
}

func benchmarkItem(b *testing.B) (modulus, message, signature []byte) {
	item, err := Create(Draft{Data: []byte("x")}, testSigners(b)["arweave"])
	if err != nil {
		b.Fatal(err)
	}
	m := item.SigningMessage()
	return item.Owner, m[:], item.Signature
}

func BenchmarkVerifyPSS(b *testing.B) {
	modulus, message, signature := benchmarkItem(b)
	b.ReportAllocs()
	for b.Loop() {
		if err := VerifyPSS(modulus, message, signature); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyPSSStdlib(b *testing.B) {
	modulus, message, signature := benchmarkItem(b)
	b.ReportAllocs()
	for b.Loop() {
		if !verifyPSSStdlib(modulus, message, signature) {
			b.Fatal("refused")
		}
	}
}
