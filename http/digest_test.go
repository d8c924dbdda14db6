package http

import (
	"net/http"
	"testing"

	"github.com/wallaby-ao/wallaby/ao"
)

func TestADigestIsOfAStretchOfResults(t *testing.T) {
	u := newUnits(t, nil)
	process := ao.ID{3}
	path := u.cu.URL + "/digest/" + process.String()
	u.get(path+"?from=2&to=5").is(t, http.StatusOK,
		`{"process":"`+process.String()+`","from":2,"to":5,"digest":"`+ao.ID{1}.String()+`","newest":9}`)
	u.get(path+"?from=2").refuses(t, 400, ao.CodeInvalid, "to must be a nonce")
	u.get(path+"?from=-2&to=1").refuses(t, 400, ao.CodeInvalid, "from must be a nonce")
	u.evaluator.err = ao.Errorf(ao.CodeNotFound, "there is none")
	u.get(path+"?from=2&to=5").refuses(t, 404, ao.CodeNotFound, "there is none")
}
