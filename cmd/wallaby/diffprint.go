package main

import (
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/wallaby-ao/wallaby/diff"
)

const (
	// valueShownRunes and valuesShown bound what a person is shown; -o json has all.
	valueShownRunes = 60
	valuesShown     = 40
)

func (a *app) printDifference(d difference) error {
	if a.output == outputJSON {
		return a.printJSON(d)
	}
	fmt.Fprintf(a.stdout, "process  %s\nA        %s\nB        %s\n\n", orUnknown(d.Process), d.A, d.B)
	if d.Remark != "" {
		fmt.Fprintln(a.stdout, d.Remark)
	}
	at := d.First
	if at == nil {
		fmt.Fprintf(a.stdout, "equal: %d nonces\n", d.Compared)
		return nil
	}
	place := fmt.Sprintf("nonce %d", at.Nonce)
	switch {
	case at.Tick == 0 && !at.Message.IsZero():
		place = fmt.Sprintf("nonce %d, message %s", at.Nonce, at.Message)
	case at.Tick > 0:
		place = fmt.Sprintf("nonce %d, message %d of crons behind it", at.Nonce, at.Tick)
	}
	fmt.Fprintf(a.stdout, "the %s differ at %s\n", at.What, place)
	if err := a.printDiffering("FIELD", at.Fields); err != nil || at.States == nil {
		return err
	}
	s := at.States
	if s.RootA == s.RootB {
		fmt.Fprintf(a.stdout, "\nthe states after it are one, with root %s\n", s.RootA)
		return nil
	}
	fmt.Fprintf(a.stdout, "\nthe states after it differ in %d pages\nroot of A  %s\nroot of B  %s\n", s.PagesTotal, s.RootA, s.RootB)
	if s.MemoryBytes != nil {
		fmt.Fprintf(a.stdout, "memory     %d and %d bytes\n", s.MemoryBytes[0], s.MemoryBytes[1])
	}
	for _, name := range s.Sections {
		fmt.Fprintf(a.stdout, "section    %s\n", name)
	}
	if err := a.printDiffering("GLOBAL", s.Globals); err != nil {
		return err
	}
	return a.printPages(s.Pages)
}

func (a *app) printDiffering(what string, fields []diff.Field) error {
	if len(fields) == 0 {
		return nil
	}
	fmt.Fprintln(a.stdout)
	var rows [][]string
	for _, f := range fields[:min(len(fields), valuesShown)] {
		// Values may be long and alike at their beginning: they are shown from a little
		// before they part.
		begin := 0
		for begin < len(f.A) && begin < len(f.B) && f.A[begin] == f.B[begin] {
			begin++
		}
		begin = max(0, begin-valueShownRunes/3)
		rows = append(rows, []string{orDash(f.Path), orDash(shortened(f.A, begin)), orDash(shortened(f.B, begin))})
	}
	if err := a.printTable([]string{what, "A", "B"}, rows); err != nil {
		return err
	}
	if more := len(fields) - len(rows); more > 0 {
		fmt.Fprintf(a.stdout, "… and %d more\n", more)
	}
	return nil
}

// shortened shows a part of a value, from a byte on.
func shortened(value string, begin int) string {
	for begin > 0 && begin < len(value) && !utf8.RuneStart(value[begin]) {
		begin--
	}
	short := value[min(begin, len(value)):]
	if runes := []rune(short); len(runes) > valueShownRunes {
		short = string(runes[:valueShownRunes]) + "…"
	}
	if begin > 0 && value != "" {
		short = "…" + short
	}
	return short
}

func (a *app) printPages(pages []diff.Page) error {
	if len(pages) == 0 {
		return nil
	}
	fmt.Fprintln(a.stdout)
	var rows [][]string
	for _, p := range pages {
		rows = append(rows, []string{
			strconv.FormatUint(uint64(p.Index), 10), strconv.Itoa(p.Bytes), fmt.Sprintf("%d to %d", p.From, p.To-1), fmt.Sprintf("% x", p.A), fmt.Sprintf("% x", p.B),
		})
	}
	return a.printTable([]string{"PAGE", "BYTES", "FROM", "A", "B"}, rows)
}
