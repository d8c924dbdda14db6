package memory_test

import (
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/logtest"
	"github.com/wallaby-ao/wallaby/log/memory"
)

func TestMemoryIsALog(t *testing.T) {
	logtest.Run(t, func(t *testing.T) log.Log { return memory.New(logtest.Signer(t, 1), time.Now) })
}
