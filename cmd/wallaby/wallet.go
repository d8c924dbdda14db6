package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/node"
)

// defaultWallet is one wallet a person, not one a directory, so that processes
// stay theirs wherever they work.
func defaultWallet() string {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "wallaby-wallet.json"
	}
	return filepath.Join(dir, "wallaby", "wallet.json")
}

// signer opens the user's wallet, making one on first use.
func (a *app) signer() (dataitem.Signer, error) {
	_, err := os.Stat(a.wallet)
	signer, openErr := node.OpenWallet(a.wallet, dataitem.Ethereum)
	if openErr == nil && errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintf(a.stderr, "wallaby: made a new wallet in %s\n", a.wallet)
	}
	return signer, openErr
}

func (a *app) walletCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "wallet",
		Short: "Make a wallet, or show its address",
	}
	cmd.AddCommand(a.walletNewCommand(), a.walletAddressCommand())
	return cmd
}

func (a *app) walletNewCommand() *cobra.Command {
	var kind string
	cmd := &cobra.Command{
		Use:   "new [FILE]",
		Short: "Make a new wallet; an existing file is never overwritten",
		Example: `  wallaby wallet new
  wallaby wallet new --type arweave my-wallet.json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			path := a.wallet
			if len(args) == 1 {
				path = args[0]
			}
			signatureType, err := parseKeyType(kind)
			if err != nil {
				return err
			}
			signer, err := node.CreateWallet(path, signatureType)
			if errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("%s exists already: choose another file", path)
			}
			if err != nil {
				return err
			}
			return a.printWallet(path, signer)
		},
	}
	cmd.Flags().StringVar(&kind, "type", "ethereum", "kind of key: ethereum (fastest), arweave (RSA-4096), ed25519")
	return cmd
}

func (a *app) walletAddressCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "address [FILE]",
		Short: "Show a wallet's address",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			path := a.wallet
			if len(args) == 1 {
				path = args[0]
			}
			signer, err := node.LoadWallet(path)
			if errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("there is no wallet at %s: make one with wallaby wallet new", path)
			}
			if err != nil {
				return err
			}
			return a.printWallet(path, signer)
		},
	}
}

func (a *app) printWallet(path string, signer dataitem.Signer) error {
	owner := signer.Owner()
	address := dataitem.NativeAddress(owner)
	gateway := dataitem.AddressOf(owner).String()
	if a.output == outputJSON {
		return a.printJSON(map[string]string{
			"file": path, "type": signer.SignatureType().String(), "address": address, "gatewayAddress": gateway,
		})
	}
	fields := [][2]string{{"file", path}, {"type", signer.SignatureType().String()}, {"address", address}}
	if gateway != address {
		fields = append(fields, [2]string{"in GraphQL", gateway})
	}
	return a.printFields(fields)
}

func parseKeyType(s string) (dataitem.SignatureType, error) {
	switch s {
	case "ethereum":
		return dataitem.Ethereum, nil
	case "arweave":
		return dataitem.Arweave, nil
	case "ed25519":
		return dataitem.Ed25519, nil
	}
	return 0, usageError{fmt.Errorf("--type must be ethereum, arweave or ed25519, not %q", s)}
}
