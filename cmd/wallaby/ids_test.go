package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestIDsThatBeginWithADash gives them as arguments and as values of flags.
func TestIDsThatBeginWithADash(t *testing.T) {
	const dashed, plain = "-aqDr0mPstA4HfIFhnwzP-OTwG8CWYpdZHI9dyKgbL8", "aaqDr0mPstA4HfIFhnwzP-OTwG8CWYpdZHI9dyKgbL8"
	for line, want := range map[string]string{
		"send " + dashed:                                dashed + " ",
		"send " + dashed + " " + plain:                  dashed + " " + plain + " ",
		"send --to " + dashed + " " + dashed:            dashed + " to=" + dashed,
		"send -t " + dashed + " " + dashed:              dashed + " to=" + dashed,
		"send --wait " + dashed:                         dashed + " ",
		"send -w " + dashed + " --to=" + dashed:         dashed + " to=" + dashed,
		"--url u send " + dashed + " " + dashed + " -w": dashed + " " + dashed + " ",
		"send -- " + dashed:                             dashed + " ",
	} {
		var got string
		root := &cobra.Command{Use: "root", SilenceErrors: true, SilenceUsage: true}
		root.PersistentFlags().String("url", "", "")
		var to string
		send := &cobra.Command{
			Use: "send", Args: cobra.MinimumNArgs(1),
			Run: func(_ *cobra.Command, args []string) {
				got = strings.Join(args, " ") + " "
				if to != "" {
					got += "to=" + to
				}
			},
		}
		send.Flags().StringVarP(&to, "to", "t", "", "")
		send.Flags().BoolP("wait", "w", false, "")
		root.AddCommand(send)
		unmarkIDs(root)
		root.SetArgs(markIDs(root, strings.Fields(line)))
		if err := root.Execute(); err != nil || got != want {
			t.Errorf("%q: %q, %v", line, got, err)
		}
	}
	if failed := runCommand(t, "", "send", "-xyz"); failed.code != exitUsage || !strings.Contains(failed.stderr, "unknown shorthand flag: 'x'") {
		t.Errorf("what is no id: %+v", failed)
	}
}
