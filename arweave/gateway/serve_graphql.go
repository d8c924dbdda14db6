package gateway

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/graph-gophers/graphql-go"

	"github.com/wallaby-ao/wallaby/ao"
)

// graphQLRequest is the body of a query, or its URL parameters.
type graphQLRequest struct {
	Query         string         `json:"query"`
	OperationName string         `json:"operationName"`
	Variables     map[string]any `json:"variables"`
}

func (g *Gateway) postGraphQL(w http.ResponseWriter, r *http.Request) error {
	body, release, err := g.bodies.read(r, queryBytesMax)
	if err != nil {
		return err
	}
	defer release()
	var request graphQLRequest
	if err := json.Unmarshal(body, &request); err != nil {
		return ao.Errorf(ao.CodeInvalid, `not a GraphQL request: want JSON {"query":"…","variables":{…}}: %w`, err)
	}
	return g.answer(w, r, request)
}

func (g *Gateway) getGraphQL(w http.ResponseWriter, r *http.Request) error {
	values := r.URL.Query()
	request := graphQLRequest{Query: values.Get("query"), OperationName: values.Get("operationName")}
	if text := values.Get("variables"); text != "" {
		if err := json.Unmarshal([]byte(text), &request.Variables); err != nil {
			return ao.Errorf(ao.CodeInvalid, "variables are not a JSON object: %w", err)
		}
	}
	return g.answer(w, r, request)
}

// answer runs a query. As with the public gateways, a query that could not be
// run at all is a bad request.
func (g *Gateway) answer(w http.ResponseWriter, r *http.Request, request graphQLRequest) error {
	if request.Query == "" {
		return ao.Errorf(ao.CodeInvalid, `POST a GraphQL query as JSON {"query":"…","variables":{…}}`)
	}
	ctx, cancel := context.WithTimeout(r.Context(), queryTimeMax)
	defer cancel()
	response := g.schema.Exec(ctx, request.Query, request.OperationName, request.Variables)
	status := http.StatusOK
	if len(response.Errors) > 0 && (len(response.Data) == 0 || string(response.Data) == "null") {
		status = http.StatusBadRequest
	}
	return writeJSON(w, status, withErrorText(response))
}

// withErrorText adds the field error of every other refusal, so that a client
// can read one field everywhere.
func withErrorText(response *graphql.Response) any {
	if len(response.Errors) == 0 {
		return response
	}
	return struct {
		*graphql.Response
		Error string `json:"error"`
	}{response, response.Errors[0].Message}
}
