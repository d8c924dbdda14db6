//go:build wasip1

// NAME is a counter. Handle is called with each message; what is global stays between
// messages.
package main

import (
	"errors"
	"strconv"
)

var count int64

// Handle answers a message. With an error, the state stays what it was.
func Handle(message *Message) (*Response, error) {
	switch message.Tag("Action") {
	case "Info":
		return answer(message, "Info-Answer"), nil
	case "Add":
		quantity := message.Tag("Quantity")
		if quantity == "" {
			quantity = "1"
		}
		by, err := strconv.ParseInt(quantity, 10, 64)
		if err != nil {
			return nil, errors.New("Quantity must be a number")
		}
		count += by
		return answer(message, "Added"), nil
	}
	return &Response{}, nil
}

func answer(to *Message, action string) *Response {
	text := strconv.FormatInt(count, 10)
	response := &Response{Output: text}
	response.Send(to.From, text, Tag{"Action", action}, Tag{"Count", text})
	return response
}
