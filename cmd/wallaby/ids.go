package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/engine"
)

// idMark stands before an id that begins with a dash, as one in 64 does, so that
// it is not taken for a flag.
const idMark = "id:"

// markIDs marks the ids among arguments, except where one is the value of a flag.
func markIDs(root *cobra.Command, args []string) []string {
	cmd, _, err := root.Find(args)
	if err != nil {
		cmd = root
	}
	marked := make([]string, len(args))
	for i, arg := range args {
		if arg == "--" {
			copy(marked[i:], args[i:])
			break
		}
		if strings.HasPrefix(arg, "-") && isName(arg) && (i == 0 || !takesValue(cmd, args[i-1])) {
			arg = idMark + arg
		}
		marked[i] = arg
	}
	return marked
}

// isName reports whether an argument is an id, or a place in a process's history or the
// name of an effect, which begin with one.
func isName(arg string) bool {
	arg, _, _ = strings.Cut(arg, "@")
	if _, err := ao.ParseID(arg); err == nil {
		return true
	}
	_, err := engine.ParseEffectKey(arg)
	return err == nil
}

// takesValue reports whether the argument after this one belongs to it.
func takesValue(cmd *cobra.Command, arg string) bool {
	if name, ok := strings.CutPrefix(arg, "--"); ok {
		flag := cmd.Flag(name)
		return flag != nil && flag.NoOptDefVal == ""
	}
	if name, ok := strings.CutPrefix(arg, "-"); ok && len(name) == 1 {
		flag := cmd.Flags().ShorthandLookup(name)
		if flag == nil {
			flag = cmd.InheritedFlags().ShorthandLookup(name)
		}
		return flag != nil && flag.NoOptDefVal == ""
	}
	return false
}

// unmarkIDs has a command and those below it see ids as they were given.
func unmarkIDs(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			for i := range args {
				args[i] = strings.TrimPrefix(args[i], idMark)
			}
			return check(cmd, args)
		}
	}
	for _, child := range cmd.Commands() {
		unmarkIDs(child)
	}
}
