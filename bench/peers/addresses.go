package main

import (
	"errors"
	"net"
)

// freeAddresses finds ports of loopback that nobody uses. The peers open their
// ports themselves, so somebody else may take one first: they fail then.
func freeAddresses(count int) (list []string, err error) {
	var open []net.Listener
	defer func() {
		for _, l := range open {
			err = errors.Join(err, l.Close())
		}
	}()
	for range count {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		open = append(open, l)
		list = append(list, l.Addr().String())
	}
	return list, nil
}
