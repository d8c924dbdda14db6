package main

import (
	"fmt"

	"github.com/wallaby-ao/wallaby/settlement"
)

// settlementFields say how far the log is on the weave.
func settlementFields(s settlement.Status) [][2]string {
	how := "a bundler"
	if s.Bundles {
		how = "bundles of its own"
	}
	text := fmt.Sprintf("%d of %d places uploaded, %d confirmed", s.Uploaded, s.Committed, s.Confirmed)
	if s.Refused > 0 {
		text += fmt.Sprintf(", %d items refused", s.Refused)
	}
	if s.Extras > 0 {
		text += fmt.Sprintf(", %d other items to confirm", s.Extras)
	}
	fields := [][2]string{{"settles to", s.To + ", " + how}, {"settlement", text}}
	if s.WaitingMS > 0 {
		fields = append(fields, [2]string{"uploads behind since", formatTimeMS(s.WaitingMS)})
	}
	if s.Error != "" {
		fields = append(fields, [2]string{"settlement's error", s.Error})
	}
	return fields
}
