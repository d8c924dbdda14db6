package raft

import (
	"fmt"
	"io"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/rs/zerolog"
)

// newLogger gives hashicorp/raft a logger that writes to ours. What the library
// calls information is of use only to who debugs it.
func newLogger(logger zerolog.Logger) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{
		Name:        "raft",
		Level:       hclog.Warn,
		Output:      lineWriter{logger.With().Str("pkg", "raft").Logger()},
		DisableTime: true,
	})
}

// lineWriter turns hclog's lines into ours, at the level that the line names.
type lineWriter struct{ logger zerolog.Logger }

var _ io.Writer = lineWriter{}

// Write logs one line.
func (w lineWriter) Write(b []byte) (int, error) {
	text := strings.TrimSpace(string(b))
	level := zerolog.DebugLevel
	if strings.HasPrefix(text, "[ERROR]") {
		level = zerolog.ErrorLevel
	}
	if _, rest, ok := strings.Cut(text, "]"); ok {
		text = strings.TrimSpace(rest)
	}
	w.logger.WithLevel(level).Msg(fmt.Sprint(text))
	return len(b), nil
}
