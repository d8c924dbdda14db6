package main

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/engine"
	"github.com/wallaby-ao/wallaby/node"
)

func (a *app) outboxCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "outbox",
		Short: "Show what processes have sent, and help what is stuck on its way",
		Long: `Whatever a process sends stays in its node's outbox, also when it was delivered.
An effect, which is a message, a spawn or an assignment, is called
PROCESS/NONCE/INDEX by the message whose evaluation sent it. It is

  pending   to be delivered, or to be tried again
  parked    of a message that has caused too much, or too fast: a loop, perhaps
  dead      given up after the last attempt; redrive it when the reason is gone
  dropped   given up by an operator
  done      delivered

In a cluster any node shows all of it, and takes commands for all.`,
	}
	cmd.AddCommand(a.outboxListCommand(), a.outboxShowCommand(), a.outboxParkedCommand(),
		a.outboxRedriveCommand(), a.outboxDropCommand(), a.outboxResumeCommand())
	return cmd
}

// effectFilter says which effects a command is about.
type effectFilter struct{ process, root string }

func (f *effectFilter) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.process, "process", "", "only what this `PROCESS` has sent")
	flags.StringVar(&f.root, "root", "", "only what this message `ID` has caused")
}

func (f effectFilter) query() url.Values {
	query := url.Values{}
	for name, value := range map[string]string{"process": f.process, "root": f.root} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return query
}

func (a *app) outboxListCommand() *cobra.Command {
	var (
		filter       effectFilter
		state, after string
		limit        int
	)
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List effects by what has become of them",
		Example: `  wallaby outbox list
  wallaby outbox list --state dead --process PID`,
		Args: exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			query := filter.query()
			query.Set("state", state)
			query.Set("limit", strconv.Itoa(limit))
			if after != "" {
				query.Set("after", after)
			}
			var page node.OutboxPage
			if err := a.read(cmd.Context(), node.PathOutbox, query, &page); err != nil {
				return err
			}
			if a.output == outputJSON {
				return a.printJSON(page)
			}
			rows := make([][]string, 0, len(page.Effects))
			for _, effect := range page.Effects {
				rows = append(rows, []string{effect.Effect, effect.Kind, shortID(effect.Target), strconv.Itoa(effect.Attempts), effectTime(effect), effectReason(effect)})
			}
			when := "LAST ATTEMPT (UTC)"
			if state == string(engine.EffectPending) {
				when = "NEXT ATTEMPT (UTC)"
			}
			if err := a.printTable([]string{"EFFECT", "KIND", "TARGET", "ATTEMPTS", when, "REASON"}, rows); err != nil {
				return err
			}
			if page.After != "" {
				fmt.Fprintf(a.stderr, "more: repeat with --after %s\n", page.After)
			}
			return nil
		},
	}
	filter.register(cmd.Flags())
	cmd.Flags().StringVar(&state, "state", string(engine.EffectPending), "pending, parked, dead, dropped or done")
	cmd.Flags().StringVar(&after, "after", "", "list those after this `EFFECT`")
	cmd.Flags().IntVar(&limit, "limit", 100, "how many to list")
	return cmd
}

// effectTime is when a pending effect is tried next, or when another was tried last.
func effectTime(effect node.OutboxEffect) string {
	ms := effect.TimeMS
	if effect.State == string(engine.EffectPending) {
		ms = effect.NextMS
	}
	if ms == 0 {
		return "-"
	}
	return formatTimeMS(ms)
}

// effectReason says why an effect is not delivered, or what it delivered.
func effectReason(effect node.OutboxEffect) string {
	switch {
	case effect.Parked != "":
		return effect.Parked
	case effect.Error != "":
		return strings.Join(strings.Fields(effect.Error), " ")
	}
	ids := make([]string, len(effect.Delivered))
	for i, id := range effect.Delivered {
		ids[i] = id.String()
	}
	return strings.Join(ids, " ")
}

func (a *app) outboxShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "show EFFECT",
		Short:   "Show one effect with all that is known of it",
		Example: "  wallaby outbox show PID/7/0",
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := parseEffect(args[0])
			if err != nil {
				return err
			}
			var effect node.OutboxEffect
			if err := a.read(cmd.Context(), node.PathOutbox, url.Values{"effect": {key.String()}}, &effect); err != nil {
				return err
			}
			if a.output == outputJSON {
				return a.printJSON(effect)
			}
			return a.printEffect(effect)
		},
	}
}

func (a *app) printEffect(effect node.OutboxEffect) error {
	var fields [][2]string
	add := func(name, value string) {
		if value != "" {
			fields = append(fields, [2]string{name, value})
		}
	}
	add("effect", effect.Effect)
	add("state", effect.State)
	add("kind", effect.Kind)
	add("target", effect.Target)
	add("root", effect.Root)
	add("attempts", strconv.Itoa(effect.Attempts))
	if effect.TimeMS > 0 {
		add("last attempt", formatTimeMS(effect.TimeMS))
	}
	add("by node", effect.Node)
	if effect.State == string(engine.EffectPending) && effect.NextMS > 0 {
		add("next attempt", formatTimeMS(effect.NextMS))
	}
	add("error", effect.Error)
	add("parked", effect.Parked)
	for _, id := range effect.Delivered {
		add("delivered", id.String())
	}
	add("body", compact(effect.Body))
	return a.printFields(fields)
}

func (a *app) outboxParkedCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "parked",
		Short: "List messages that have caused too much, with how much of it waits",
		Args:  exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var list []node.ParkedCascade
			if err := a.read(cmd.Context(), node.PathParked, nil, &list); err != nil {
				return err
			}
			if a.output == outputJSON {
				return a.printJSON(list)
			}
			rows := make([][]string, 0, len(list))
			for _, cascade := range list {
				kind := "message"
				if cascade.Rootless {
					kind = "process"
				}
				rows = append(rows, []string{cascade.Root.String(), kind, strconv.Itoa(cascade.Effects), cascade.Reason})
			}
			return a.printTable([]string{"ROOT", "IS A", "EFFECTS", "REASON"}, rows)
		},
	}
}

func (a *app) outboxRedriveCommand() *cobra.Command {
	var filter effectFilter
	var all bool
	var dir string
	cmd := &cobra.Command{
		Use:   "redrive [EFFECT]",
		Short: "Try dead effects again, as if they had never been tried",
		Example: `  wallaby outbox redrive PID/7/0
  wallaby outbox redrive --all --process PID`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			query, err := chosenEffects(args, all, filter)
			if err != nil {
				return err
			}
			return a.changeOutbox(cmd.Context(), dir, node.PathRedriveEffect, query, "redriven")
		},
	}
	filter.register(cmd.Flags())
	cmd.Flags().BoolVar(&all, "all", false, "all that are dead")
	registerDataDir(cmd.Flags(), &dir)
	return cmd
}

func (a *app) outboxDropCommand() *cobra.Command {
	var filter effectFilter
	var all bool
	var dir, state string
	cmd := &cobra.Command{
		Use:   "drop [EFFECT]",
		Short: "Give dead or parked effects up for good",
		Example: `  wallaby outbox drop PID/7/0
  wallaby outbox drop --state parked --root ID`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			query, err := chosenEffects(args, all, filter)
			if err != nil {
				return err
			}
			query.Set("state", state)
			return a.changeOutbox(cmd.Context(), dir, node.PathDropEffect, query, "dropped")
		},
	}
	filter.register(cmd.Flags())
	cmd.Flags().BoolVar(&all, "all", false, "all in that state")
	cmd.Flags().StringVar(&state, "state", string(engine.EffectDead), "of more than one, those that are dead or parked")
	registerDataDir(cmd.Flags(), &dir)
	return cmd
}

func (a *app) outboxResumeCommand() *cobra.Command {
	var all bool
	var dir string
	cmd := &cobra.Command{
		Use:   "resume [ROOT]",
		Short: "Let a parked message go on, as far again as it came",
		Long: `resume has what a message causes delivered again, in its order, until it has caused
as much again as it may. ROOT is what wallaby outbox parked shows.`,
		Example: "  wallaby outbox resume ID",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			query := url.Values{"all": {"true"}}
			if len(args) == 1 {
				root, err := ao.ParseID(args[0])
				if err != nil {
					return usageError{fmt.Errorf("root: %w", err)}
				}
				query = url.Values{"root": {root.String()}}
			}
			if all == (len(args) == 1) {
				return usageError{fmt.Errorf("name a root, as wallaby outbox parked shows it, or give --all")}
			}
			return a.changeOutbox(cmd.Context(), dir, node.PathResumeCascade, query, "resumed")
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "all that are parked")
	registerDataDir(cmd.Flags(), &dir)
	return cmd
}

func registerDataDir(flags *pflag.FlagSet, dir *string) {
	flags.StringVar(dir, "data-dir", ".wallaby", "the node's `DIR`, with its admin token")
}

// chosenEffects asks for one effect, or for all that a filter lets through.
func chosenEffects(args []string, all bool, filter effectFilter) (url.Values, error) {
	if len(args) == 1 {
		if all || filter != (effectFilter{}) {
			return nil, usageError{fmt.Errorf("name one effect, or choose some with --all, --process or --root")}
		}
		key, err := parseEffect(args[0])
		return url.Values{"effect": {key.String()}}, err
	}
	if !all && filter == (effectFilter{}) {
		return nil, usageError{fmt.Errorf("name an effect PROCESS/NONCE/INDEX, or choose some with --all, --process or --root")}
	}
	query := filter.query()
	query.Set("all", "true")
	return query, nil
}

func parseEffect(s string) (engine.EffectKey, error) {
	key, err := engine.ParseEffectKey(s)
	if err != nil {
		return key, usageError{err}
	}
	return key, nil
}

// changeOutbox has a node change what the query chooses, and says how much that was.
func (a *app) changeOutbox(ctx context.Context, dir, path string, query url.Values, done string) error {
	var change node.OutboxChange
	if err := a.ask(ctx, dir, path, query, &change); err != nil {
		return err
	}
	if a.output == outputJSON {
		if err := a.printJSON(change); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(a.stdout, "%s %s\n", countOf(change.Changed, "effect"), done)
	}
	if len(change.Missed) > 0 {
		return fmt.Errorf("nodes that could not be asked: %s; what they deliver is as it was: repeat this when they are back", strings.Join(change.Missed, ", "))
	}
	return nil
}

func countOf(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}
