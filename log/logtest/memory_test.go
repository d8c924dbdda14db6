package logtest

import (
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/log"
)

func TestMemoryIsALog(t *testing.T) {
	Run(t, func(t *testing.T) log.Log { return NewMemory(Signer(t, 1), time.Now) })
}
