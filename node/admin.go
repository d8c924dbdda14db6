package node

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/wallaby-ao/wallaby/internal/fsx"
)

// Paths that only an operator may use: they want the node's admin token.
const (
	PathRepair        = "/wallaby/admin/repair"
	PathTransfer      = "/wallaby/admin/transfer-leader"
	PathSetSequencing = "/wallaby/admin/set-sequencing"
	PathMoveShard     = "/wallaby/admin/move-shard"
	PathMoveGroup     = "/wallaby/admin/move-group"
	PathAddNode       = "/wallaby/admin/add-node"
	PathRemoveNode    = "/wallaby/admin/remove-node"
	PathReplaceNode   = "/wallaby/admin/replace-node"
)

// AdminTokenFile is the file in a node's data directory whose content an
// operator shows; only who may read the directory can.
const AdminTokenFile = "admin.token"

// ReadAdminToken reads the token of a node's data directory.
func ReadAdminToken(dataDir string) (string, error) {
	b, err := os.ReadFile(filepath.Join(dataDir, AdminTokenFile))
	if err != nil {
		return "", fmt.Errorf("read the node's admin token: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// openAdmin makes the token at the first start.
func (n *Node) openAdmin(context.Context) error {
	token, err := ReadAdminToken(n.dir)
	if errors.Is(err, fs.ErrNotExist) {
		var secret [32]byte
		if _, err := rand.Read(secret[:]); err != nil {
			return fmt.Errorf("read randomness: %w", err)
		}
		token = hex.EncodeToString(secret[:])
		err = fsx.CreateDurably(filepath.Join(n.dir, AdminTokenFile), 0o600, []byte(token+"\n"))
	}
	if err == nil && len(token) < 32 {
		err = fmt.Errorf("%s is not a token: remove it, and the node makes another", filepath.Join(n.dir, AdminTokenFile))
	}
	n.adminToken = token
	return err
}

// admin lets a handler answer only those who show the token.
func (n *Node) admin(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		switch {
		case !ok || subtle.ConstantTimeCompare([]byte(given), []byte(n.adminToken)) != 1:
			answer(w, http.StatusUnauthorized, "error: this needs the node's admin token, the content of "+AdminTokenFile+" in its data directory\n")
		case r.Method != http.MethodPost:
			answer(w, http.StatusMethodNotAllowed, "error: POST it\n")
		default:
			next(w, r)
		}
	}
}
