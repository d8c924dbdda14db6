package node

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/engine"
	aohttp "github.com/wallaby-ao/wallaby/http"
	"github.com/wallaby-ao/wallaby/vm"
)

// PathMachine answers with the engine.MachineChoice of a process (process=ID).
// PathSetMachine, for operators, chooses one (process=ID, vm=NAME, shadow=N) and
// answers likewise.
const (
	PathMachine    = "/wallaby/vm"
	PathSetMachine = "/wallaby/admin/set-vm"
)

func (n *Node) serveMachine(w http.ResponseWriter, r *http.Request) {
	process, err := ao.ParseID(r.URL.Query().Get("process"))
	if err != nil {
		aohttp.WriteError(w, r, ao.Errorf(ao.CodeInvalid, "name a process: %w", err))
		return
	}
	state, err := n.engine.Machine(r.Context(), process)
	answerMachine(w, r, state, err)
}

func (n *Node) serveSetMachine(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	process, err := ao.ParseID(query.Get("process"))
	if err != nil {
		aohttp.WriteError(w, r, ao.Errorf(ao.CodeInvalid, "name a process: %w", err))
		return
	}
	var shadow uint64
	if text := query.Get("shadow"); text != "" {
		if shadow, err = strconv.ParseUint(text, 10, 64); err != nil {
			aohttp.WriteError(w, r, ao.Errorf(ao.CodeInvalid, "shadow is a number of messages, not %q", text))
			return
		}
	}
	state, err := n.engine.SetMachine(r.Context(), process, query.Get("vm"), shadow)
	answerMachine(w, r, state, err)
}

func answerMachine(w http.ResponseWriter, r *http.Request, state engine.MachineChoice, err error) {
	if err != nil {
		aohttp.WriteError(w, r, err)
		return
	}
	answerJSON(w, state)
}

// MachineRule says which virtual machine runs modules of a format whose process
// asks for none.
type MachineRule struct {
	Format string // "": every format that has no rule of its own
	VM     string
}

// ParseMachineRule reads "NAME" or "FORMAT=NAME".
func ParseMachineRule(s string) (MachineRule, error) {
	format, name, found := strings.Cut(s, "=")
	if !found {
		format, name = "", s
	}
	if name == "" || found && format == "" {
		return MachineRule{}, fmt.Errorf("rule %q is not of the form [FORMAT=]NAME: see wallaby vm list", s)
	}
	return MachineRule{Format: format, VM: name}, nil
}

// machineRules checks that the rules name machines that are there and run the
// formats.
func machineRules(rules []MachineRule, drivers []vm.Driver) (map[string]string, error) {
	chosen := map[string]string{}
	for _, rule := range rules {
		runs := false
		for _, driver := range drivers {
			if driver.Name() != rule.VM {
				continue
			}
			runs = rule.Format == ""
			for _, format := range driver.Formats() {
				runs = runs || format == rule.Format
			}
		}
		if !runs {
			return nil, fmt.Errorf("no virtual machine called %q runs %s here: see wallaby vm list", rule.VM, orAnything(rule.Format))
		}
		if other, ok := chosen[rule.Format]; ok && other != rule.VM {
			return nil, fmt.Errorf("%s and %s are both to run %s: name one", other, rule.VM, orAnything(rule.Format))
		}
		chosen[rule.Format] = rule.VM
	}
	return chosen, nil
}

func orAnything(format string) string {
	if format == "" {
		return "modules"
	}
	return "modules of format " + format
}
