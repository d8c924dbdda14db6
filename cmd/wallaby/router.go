package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	aohttp "github.com/wallaby-ao/wallaby/http"
)

func (a *app) routerCommand() *cobra.Command {
	var (
		unit, strategy, su, listen string
		hosts                      []string
		tables                     [3]string
		flags                      nodeFlags
	)
	cmd := &cobra.Command{
		Use:   "router",
		Short: "Stand before several compute or messenger units and send each process to its own",
		Long: `router passes requests on to one of several units, the same one for all requests
about one process. When that cannot be connected to it takes the next. The nodes
of one cluster need no router: any of them answers for any process.

--strategy redirect answers reads with a redirect to the unit. Everything else is
passed on all the same, because clients lose the body of a redirected POST.

--process-to-host, --owner-to-host and --module-to-host take a JSON object or the
name of a file with one: {"ID":"http://host:port"}. The owner of a process is
asked of the scheduler at --su.`,
		Example: `  wallaby router --unit cu --hosts http://10.0.0.1:4004,http://10.0.0.2:4004
  wallaby router --unit mu --hosts http://10.0.0.1:4002,http://10.0.0.2:4002 --listen 127.0.0.1:3006`,
		Args: exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			options, err := flags.options(a)
			if err != nil {
				return err
			}
			o := aohttp.UROptions{Unit: unit, Hosts: hosts, SU: su, Base: aohttp.Base{Metrics: aohttp.NewMetrics(), Logger: options.Logger}}
			switch strategy {
			case "proxy":
			case "redirect":
				o.Redirect = true
			default:
				return usageError{fmt.Errorf("--strategy is proxy or redirect, not %q", strategy)}
			}
			for i, table := range []*map[string]string{&o.ProcessToHost, &o.OwnerToHost, &o.ModuleToHost} {
				if *table, err = readTable(tables[i]); err != nil {
					return usageError{err}
				}
			}
			handler, err := aohttp.NewUR(o)
			if err != nil {
				return usageError{err}
			}
			return a.serveRouter(cmd.Context(), listen, handler, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&unit, "unit", "cu", "what the hosts are: `cu` or mu")
	f.StringSliceVar(&hosts, "hosts", nil, "the units' `URLS`; their order decides which process goes where")
	f.StringVar(&strategy, "strategy", "proxy", "`proxy` or redirect")
	f.StringVar(&su, "su", "", "a scheduler's `URL`, to know who owns a process")
	f.StringVar(&tables[0], "process-to-host", "", "hosts of single processes: `JSON` or a file")
	f.StringVar(&tables[1], "owner-to-host", "", "hosts of owners' processes: `JSON` or a file")
	f.StringVar(&tables[2], "module-to-host", "", "hosts for what processes of a module send: `JSON` or a file")
	f.StringVar(&listen, "listen", "127.0.0.1:3005", "`ADDRESS` to listen on")
	flags.registerLog(f)
	return cmd
}

// readTable reads a JSON object, or a file that holds one.
func readTable(text string) (table map[string]string, err error) {
	if text == "" {
		return nil, nil
	}
	b := []byte(text)
	if !strings.HasPrefix(strings.TrimSpace(text), "{") {
		if b, err = os.ReadFile(text); err != nil {
			return nil, fmt.Errorf("read a table of hosts: %w", err)
		}
	}
	if err := json.Unmarshal(b, &table); err != nil {
		return nil, fmt.Errorf("%.60s is no JSON object of hosts such as {\"ID\":\"http://host:port\"}: %w", text, err)
	}
	return table, nil
}

// serveRouter serves until it is told to stop, and then finishes what it has in
// hand.
func (a *app) serveRouter(ctx context.Context, address string, handler http.Handler, o aohttp.UROptions) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	listener, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s is in use: stop what uses it, or choose another with --listen", address)
	}
	if err != nil {
		return fmt.Errorf("listen on %s: %w: choose another with --listen", address, err)
	}
	fmt.Fprintf(a.stdout, "router on http://%s before %d units of kind %s\n", listener.Addr(), len(o.Hosts), o.Unit)
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	stop()
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	err = server.Shutdown(closing)
	<-served
	return err
}
