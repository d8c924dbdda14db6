package engine

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/wallaby-ao/wallaby/ao"
)

// Sort directions as cursors carry them.
const (
	SortAscending  = "ASC"
	SortDescending = "DESC"
)

// Cursor is a place among the evaluations of a process, as clients carry it
// from one page to the next.
type Cursor struct {
	TimestampMS int64
	Ordinate    string // the nonce as text; empty: the whole timestamp
	Cron        string // the cron's name, e.g. "0-10-seconds"; empty: a scheduled message
	Sort        string // the direction of the page it came from; empty: unknown
}

// cursorJSON has the reference's key order, so that one place always has one
// text: the console tells edges apart by it.
type cursorJSON struct {
	Timestamp json.Number `json:"timestamp"`
	Ordinate  *string     `json:"ordinate,omitempty"`
	Cron      *string     `json:"cron"`
	Sort      string      `json:"sort,omitempty"`
}

// CursorOf gives the place of an evaluation in a page with this direction.
func CursorOf(evaluation Evaluation, descending bool) Cursor {
	cursor := Cursor{
		TimestampMS: evaluation.TimestampMS,
		Ordinate:    strconv.FormatUint(evaluation.Nonce, 10),
		Cron:        evaluation.Cron,
		Sort:        SortAscending,
	}
	if descending {
		cursor.Sort = SortDescending
	}
	return cursor
}

// EncodeCursor writes a cursor as standard base64 of JSON.
func EncodeCursor(cursor Cursor) string {
	wire := cursorJSON{Timestamp: json.Number(strconv.FormatInt(cursor.TimestampMS, 10)), Sort: cursor.Sort}
	if cursor.Ordinate != "" {
		wire.Ordinate = &cursor.Ordinate
	}
	if cursor.Cron != "" {
		wire.Cron = &cursor.Cron
	}
	text, err := json.Marshal(wire)
	if err != nil {
		// The only field that could fail to encode is a number made above.
		panic("encode cursor: " + err.Error())
	}
	return base64.StdEncoding.EncodeToString(text)
}

// ParseCursor reads what EncodeCursor wrote, in any of base64's dialects since
// query strings turn "+" into a space, or a bare timestamp.
func ParseCursor(text string) (Cursor, error) {
	text = strings.TrimSpace(text)
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil {
		return Cursor{TimestampMS: ms}, nil
	}
	refuse := func() (Cursor, error) {
		return Cursor{}, ao.Errorf(ao.CodeInvalid,
			"%.64q is no cursor: use the cursor of an edge as it was given, or a timestamp in milliseconds", text)
	}
	standard := strings.NewReplacer("-", "+", "_", "/", " ", "+").Replace(strings.TrimRight(text, "="))
	plain, err := base64.RawStdEncoding.DecodeString(standard)
	if err != nil {
		return refuse()
	}
	var wire struct {
		Timestamp json.Number
		Ordinate  any
		Cron      *string
		Sort      string
	}
	if err := json.Unmarshal(plain, &wire); err != nil {
		return refuse()
	}
	cursor := Cursor{Sort: strings.ToUpper(wire.Sort)}
	if cursor.TimestampMS, err = wire.Timestamp.Int64(); err != nil {
		return refuse()
	}
	switch ordinate := wire.Ordinate.(type) {
	case string:
		cursor.Ordinate = ordinate
	case float64:
		cursor.Ordinate = strconv.FormatFloat(ordinate, 'f', -1, 64)
	}
	if wire.Cron != nil {
		cursor.Cron = *wire.Cron
	}
	if cursor.Sort != SortAscending && cursor.Sort != SortDescending {
		cursor.Sort = ""
	}
	return cursor, nil
}
