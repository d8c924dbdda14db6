package ao

// StateRoot is the root of a process's state behind a place.
type StateRoot struct {
	Process ID     `json:"process"`
	Nonce   uint64 `json:"nonce"`
	Tick    uint64 `json:"tick"` // of crons behind the nonce; 0: behind the message
	Root    ID     `json:"root"`
	// Fingerprint names the module and what was made of it to run it: machines may
	// differ in that and never in the root.
	Fingerprint ID `json:"fingerprint"`
	// Snapshot says that the whole state is stored.
	Snapshot bool `json:"snapshot"`
}
