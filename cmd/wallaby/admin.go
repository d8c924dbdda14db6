package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/node"
)

// ask posts what only an operator may to the node at --url, with the token of its
// data directory, and decodes the answer into to.
func (a *app) ask(ctx context.Context, dir, path string, query url.Values, to any) error {
	token, err := node.ReadAdminToken(dir)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s is not the data directory of a node that has been started: name it with --data-dir", dir)
	}
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(a.url, "/")+path+"?"+query.Encode(), nil)
	if err != nil {
		return usageError{err}
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask %s: %w: is the node running?", a.url, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("read the answer of %s: %w", a.url, err)
	}
	if response.StatusCode == http.StatusUnauthorized {
		return fmt.Errorf("the node at %s has another admin token than %s: name its directory with --data-dir", a.url, dir)
	}
	if response.StatusCode != http.StatusOK {
		var refusal struct {
			Error string
			Code  ao.Code
		}
		if json.Unmarshal(body, &refusal) != nil {
			refusal.Error = strings.TrimSpace(string(body))
		}
		return &ao.Error{Code: refusal.Code, Message: refusal.Error}
	}
	return json.Unmarshal(body, to)
}
