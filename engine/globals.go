package engine

import (
	"context"
	_ "embed"
	"encoding/json"
	"strings"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// GlobalsCode is Lua that an Eval has an aos process tell its globals with.
//
//go:embed globals.lua
var GlobalsCode string

// globals gives the Lua globals of an aos process as a JSON object, by asking a copy of
// it with an Eval of its owner; nil if it does not answer as aos does.
func (r *replayer) globals(ctx context.Context, l *live) []byte {
	machine, err := l.machine.Fork(ctx)
	if err != nil {
		return nil
	}
	copied := &live{definition: l.definition, machine: machine}
	defer func() {
		if err := machine.Close(); err != nil {
			r.engine.options.Logger.Warn().Str("pkg", "engine").Err(err).Msg("close a copy of a replayed process")
		}
	}()
	message := DryRunMessage{Owner: l.process.Address(), Data: &GlobalsCode, Tags: dataitem.Tags{{Name: "Action", Value: "Eval"}}}
	output, err := copied.handle(ctx, appendDryRunMessage(nil, r.state.Process, message, l.last.timestampMS, l.last.blockHeight))
	if err != nil {
		return nil
	}
	answer, err := decodeResponse(output.Response, output.GasUsed)
	if err != nil {
		return nil
	}
	return ParseGlobals(answer.result)
}

// ParseGlobals gives what GlobalsCode has told, as a JSON object of texts; an empty one
// if that is not how the process answers.
func ParseGlobals(result ao.Result) []byte {
	values := map[string]string{}
	for line := range strings.SplitSeq(evalText(result), "\n") {
		if name, value, ok := strings.Cut(line, " = "); ok {
			values[name] = value
		}
	}
	b, _ := json.Marshal(values) // texts
	return b
}

// evalText is what an Eval returned, where old and new aos put it.
func evalText(result ao.Result) string {
	var output struct{ Data json.RawMessage }
	if json.Unmarshal(result.Output, &output) != nil {
		return ""
	}
	var older struct{ Output string }
	var text string
	if json.Unmarshal(output.Data, &text) == nil {
		return text
	}
	_ = json.Unmarshal(output.Data, &older) // empty if it is neither
	return older.Output
}
