package connect_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/connect"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// spawnCounter starts a process for an example.
func spawnCounter(name string) (*connect.Client, ao.ID) {
	client := connect.New(nodeURL)
	process, err := client.Spawn(context.Background(), connect.SpawnRequest{Module: moduleID, Tags: dataitem.Tags{{Name: "Name", Value: name}}}, wallet)
	if err != nil {
		panic(err)
	}
	return client, process
}

func add(client *connect.Client, process ao.ID, quantity string) ao.ID {
	id, err := client.Message(context.Background(), connect.MessageRequest{
		Process: process,
		Tags:    dataitem.Tags{{Name: "Action", Value: "Add"}, {Name: "Quantity", Value: quantity}},
	}, wallet)
	if err != nil {
		panic(err)
	}
	return id
}

// A process is spawned, gets a message, and the message's result is awaited.
func Example() {
	ctx := context.Background()
	client := connect.New(nodeURL)
	process, err := client.Spawn(ctx, connect.SpawnRequest{
		Module: moduleID,
		Tags:   dataitem.Tags{{Name: "Name", Value: "counter"}},
	}, wallet)
	if err != nil {
		fmt.Println(err)
		return
	}
	message, err := client.Message(ctx, connect.MessageRequest{
		Process: process,
		Tags:    dataitem.Tags{{Name: "Action", Value: "Add"}, {Name: "Quantity", Value: "5"}},
	}, wallet)
	if err != nil {
		fmt.Println(err)
		return
	}
	result, err := client.Result(ctx, process, message)
	if err != nil {
		fmt.Println(err)
		return
	}
	var sent struct{ Tags dataitem.Tags }
	if err := json.Unmarshal(result.Messages[0], &sent); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(sent.Tags.Get("Action"), sent.Tags.Get("Count"))
	// Output: Added 5
}

// A dry run asks a process and leaves no trace in it.
func ExampleClient_DryRun() {
	client, process := spawnCounter("asked")
	result, err := client.DryRun(context.Background(), process, connect.DryRunRequest{
		Owner: "anybody", Tags: dataitem.Tags{{Name: "Action", Value: "Get"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	var sent struct{ Data string }
	if err := json.Unmarshal(result.Messages[0], &sent); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(sent.Data)
	// Output: 0
}

// A failed message has a result, too: the error with its place in the source. The state
// stays what it was.
func ExampleClient_Result_error() {
	client, process := spawnCounter("failing")
	result, err := client.Result(context.Background(), process, add(client, process, "many"))
	if err != nil {
		fmt.Println(err)
		return
	}
	var text string
	if err := json.Unmarshal(result.Error, &text); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(text[:len("process.lua:4: Quantity must be a number")])
	// Output: process.lua:4: Quantity must be a number
}

// What a node refuses is an *ao.Error, with a code for programs.
func ExampleClient_Result_unknown() {
	client, process := spawnCounter("unasked")
	_, err := client.Result(context.Background(), process, ao.ID{1})
	fmt.Println(ao.CodeOf(err))
	// Output: not_found
}

// Results are read page by page: a cursor says where the next begins.
func ExampleClient_Results() {
	client, process := spawnCounter("read")
	ctx := context.Background()
	for _, quantity := range []string{"1", "2", "3"} {
		if _, err := client.Result(ctx, process, add(client, process, quantity)); err != nil {
			fmt.Println(err)
			return
		}
	}
	query := connect.ResultsQuery{Sort: "ASC", Limit: 3}
	for {
		page, err := client.Results(ctx, process, query)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(len(page.Edges), page.PageInfo.HasNextPage)
		if !page.PageInfo.HasNextPage {
			return
		}
		query.From = page.Edges[len(page.Edges)-1].Cursor
	}
	// Output:
	// 3 true
	// 1 false
}

// Events come as they happen: failed messages, too, and ticks of crons.
func ExampleClient_Events() {
	client, process := spawnCounter("watched")
	ctx := context.Background()
	first, err := client.Result(ctx, process, process)
	if err != nil || first.Error != nil {
		fmt.Println(err, first.Error)
		return
	}
	page, err := client.Results(ctx, process, connect.ResultsQuery{Limit: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	add(client, process, "1")
	add(client, process, "many")
	enough := errors.New("enough")
	// From the process itself on; an empty cursor begins with what comes next.
	err = client.Events(ctx, process, page.Edges[0].Cursor, func(event connect.Event) error {
		result, err := event.Parsed()
		if err != nil {
			return err
		}
		fmt.Println(event.Nonce, len(result.Messages), result.Error != nil)
		if event.Nonce == 2 {
			return enough
		}
		return nil
	})
	if errors.Is(err, io.ErrUnexpectedEOF) {
		fmt.Println("the node has stopped: go on behind the last event's cursor")
	}
	// Output:
	// 1 1 false
	// 2 0 true
}

// Processes are found by their owner and name.
func ExampleClient_Find() {
	client, process := spawnCounter("findable")
	found, err := client.Find(context.Background(), dataitem.NativeAddress(wallet.Owner()), "findable")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(found), found[0].ID == process, found[0].Name)
	// Output: 1 true findable
}

// A process that has crons runs them while somebody monitors it.
func ExampleClient_Monitor() {
	client := connect.New(nodeURL)
	ctx := context.Background()
	process, err := client.Spawn(ctx, connect.SpawnRequest{Module: moduleID, Tags: dataitem.Tags{
		{Name: "Cron-Interval", Value: "1-second"}, {Name: "Cron-Tag-Action", Value: "Add"}, {Name: "Cron-Tag-Quantity", Value: "7"},
	}}, wallet)
	if err == nil {
		err = client.Monitor(ctx, process, wallet)
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	enough := errors.New("enough")
	err = client.Events(ctx, process, "", func(event connect.Event) error {
		if event.Cron == "" {
			return nil // the process itself
		}
		fmt.Println(event.Cron)
		return enough
	})
	if err != nil && !errors.Is(err, enough) {
		fmt.Println(err)
	}
	fmt.Println(client.Unmonitor(ctx, process, wallet))
	// Output:
	// 0-1-second
	// <nil>
}
