package connect

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/wallaby-ao/wallaby/ao"
)

// Refusal is the body of every answer that is an error.
type Refusal struct {
	Error string  `json:"error"`
	Code  ao.Code `json:"code"`
}

// RefusalOf turns the body of a refusal back into the error that it was. Of a unit
// that gives no code, the status says it.
func RefusalOf(status int, answer []byte) error {
	var body Refusal
	if json.Unmarshal(answer, &body) != nil || body.Error == "" {
		body.Error = strings.TrimSpace(string(answer[:min(len(answer), 500)]))
	}
	if body.Code == "" {
		body.Code = CodeOfStatus(status)
	}
	if body.Error == "" {
		body.Error = fmt.Sprintf("status %d", status)
	}
	return &ao.Error{Code: body.Code, Message: body.Error}
}

// statuses is the one table from error codes to statuses and back.
var statuses = []struct {
	code   ao.Code
	status int
}{
	{ao.CodeInvalid, http.StatusBadRequest},
	{ao.CodeUnauthorized, http.StatusForbidden},
	{ao.CodeNotFound, http.StatusNotFound},
	{ao.CodeConflict, http.StatusConflict},
	{ao.CodeTooLarge, http.StatusRequestEntityTooLarge},
	{ao.CodeUnprocessable, http.StatusUnprocessableEntity},
	{ao.CodeRateLimited, http.StatusTooManyRequests},
	{ao.CodeUnavailable, http.StatusServiceUnavailable},
	{ao.CodeTimeout, http.StatusGatewayTimeout},
	{ao.CodeInternal, http.StatusInternalServerError},
}

// StatusOf gives the status with which a unit answers an error of this code.
func StatusOf(code ao.Code) int {
	for _, row := range statuses {
		if row.code == code {
			return row.status
		}
	}
	return http.StatusInternalServerError
}

// CodeOfStatus gives the code that a status stands for.
func CodeOfStatus(status int) ao.Code {
	for _, row := range statuses {
		if row.status == status {
			return row.code
		}
	}
	if status >= 400 && status < 500 {
		return ao.CodeInvalid
	}
	return ao.CodeInternal
}
