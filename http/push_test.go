package http

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/engine"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

func TestAResultIsPushedAgain(t *testing.T) {
	u := newUnits(t, nil)
	process := logtest.Spawn(t, u.log, "sender")
	message := logtest.Append(t, u.log, logtest.MessageItem(t, logtest.Signer(t, 9), process, "x")).Message
	u.evaluator.result = engine.Evaluation{Process: process, Nonce: 1, Result: ao.Result{Messages: []json.RawMessage{[]byte("{}"), []byte("{}")}}}
	path := u.mu.URL + "/push/" + message.String()
	for _, tail := range []string{"/0", "/1?process-id=" + process.String() + "&custom-cu=x"} {
		u.do(http.MethodPost, path+tail, nil).is(t, http.StatusAccepted, `{"message":"Processing Message Result","id":"`+message.String()+`"}`)
	}
	if diff := cmp.Diff([]string{fmt.Sprint(process, 1), fmt.Sprint(process, 1)}, u.evaluator.pushed); diff != "" {
		t.Errorf("pushed (-want +got):\n%s", diff)
	}
	u.do(http.MethodPost, path+"/2", nil).refuses(t, 400, ao.CodeInvalid, "smaller than the number of messages in the result, which is 2")
	for _, number := range []string{"one", "-1", "1.5"} {
		u.do(http.MethodPost, path+"/"+number, nil).refuses(t, 400, ao.CodeInvalid, "'number' parameter must be a valid number")
	}
	stranger := ao.ID{9}
	u.do(http.MethodPost, u.mu.URL+"/push/"+stranger.String()+"/0", nil).refuses(t, 404, ao.CodeNotFound, "is in no process of this node")
	u.do(http.MethodPost, path+"/0?process-id="+stranger.String(), nil).refuses(t, 404, ao.CodeNotFound, "is not in the log of process")
	if len(u.evaluator.pushed) != 2 {
		t.Errorf("refused and pushed: %v", u.evaluator.pushed)
	}
}
