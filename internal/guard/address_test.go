package guard

import (
	"net/netip"
	"strings"
	"testing"
)

func TestReasonsOfAddresses(t *testing.T) {
	for _, c := range []struct{ addr, what, allow string }{
		{"127.0.0.1", "loopback", "loopback"},
		{"127.255.255.254", "loopback", "loopback"},
		{"::1", "loopback", "loopback"},
		{"::ffff:127.0.0.1", "loopback", "loopback"},
		{"64:ff9b::7f00:1", "loopback", "loopback"},
		{"10.0.0.1", "private", "private"},
		{"172.16.0.1", "private", "private"},
		{"172.31.255.255", "private", "private"},
		{"192.168.1.1", "private", "private"},
		{"fd12:3456::1", "private", "private"},
		{"64:ff9b::a00:1", "private", "private"},
		{"169.254.1.1", "link-local", "169.254.1.1"},
		{"fe80::1", "link-local", "fe80::1"},
		{"fe80::1%eth0", "link-local", "fe80::1"},
		{"0.0.0.0", "this network", "0.0.0.0"},
		{"0.1.2.3", "this network", "0.1.2.3"},
		{"::", "this network", "::"},
		{"100.64.0.1", "shared", "100.64.0.1"},
		{"224.0.0.1", "multicast", "224.0.0.1"},
		{"ff02::1", "multicast", "ff02::1"},
		{"240.0.0.1", "reserved", "240.0.0.1"},
		{"255.255.255.255", "reserved", "255.255.255.255"},
		{"192.0.2.1", "documentation", "192.0.2.1"},
		{"2001:db8::1", "documentation", "2001:db8::1"},
		{"3fff::1", "documentation", "3fff::1"},
		{"198.19.0.1", "benchmarks", "198.19.0.1"},
		{"192.0.0.8", "protocols", "192.0.0.8"},
		{"2001::1", "protocols", "2001::1"},
		{"192.88.99.1", "tunnel", "192.88.99.1"},
		{"2002:7f00:1::", "tunnel", "2002:7f00:1::"},
		{"::127.0.0.1", "no global", "::7f00:1"},
		{"::ffff:0:127.0.0.1", "no global", "::ffff:0:7f00:1"},
		{"64:ff9b:1::1", "no global", "64:ff9b:1::1"},
		{"fec0::1", "no global", "fec0::1"},
		{"5f00::1", "no global", "5f00::1"},
		{"169.254.169.254", "credentials", "169.254.169.254"},
		{"64:ff9b::a9fe:a9fe", "credentials", "169.254.169.254"},
		{"100.100.100.200", "credentials", "100.100.100.200"},
		{"168.63.129.16", "credentials", "168.63.129.16"},
		{"fd00:ec2::254", "credentials", "fd00:ec2::254"},

		{"1.1.1.1", "", ""}, {"8.8.8.8", "", ""}, {"172.15.255.255", "", ""}, {"172.32.0.1", "", ""}, {"11.0.0.1", "", ""},
		{"100.63.255.255", "", ""}, {"100.128.0.1", "", ""}, {"192.0.1.1", "", ""}, {"223.255.255.255", "", ""},
		{"2606:4700::1111", "", ""}, {"2a00:1450::1", "", ""}, {"2001:4860::8888", "", ""}, {"64:ff9b::808:808", "", ""},
	} {
		what, allow := reason(netip.MustParseAddr(c.addr), nil)
		if (c.what == "") != (what == "") || !strings.Contains(what, c.what) || allow != c.allow {
			t.Errorf("%s: %q, allowed by %q, want %q, %q", c.addr, what, allow, c.what, c.allow)
		}
		if what == "" {
			continue
		}
		// What a refusal names does allow it.
		allowed, err := ParseAllowed([]string{allow})
		if err != nil {
			t.Error(err)
		}
		if what, _ := reason(netip.MustParseAddr(c.addr), allowed); what != "" {
			t.Errorf("%s with %s: still %q", c.addr, allow, what)
		}
	}
}

func TestNetworksDoNotOpenTheirMetadata(t *testing.T) {
	allowed, err := ParseAllowed([]string{"private", "169.254.0.0/16", "100.64.0.0/10", "0.0.0.0/0", "::/0"})
	if err != nil {
		t.Fatal(err)
	}
	for _, addr := range metadata {
		if what, _ := reason(addr, allowed); what == "" {
			t.Errorf("%s is open", addr)
		}
	}
	if what, _ := reason(netip.MustParseAddr("169.254.1.1"), allowed); what != "" {
		t.Errorf("169.254.1.1 is %s", what)
	}
}

func TestParseAllowedRefuses(t *testing.T) {
	for _, text := range []string{"", "all", "10.0.0.0/33", "localhost", "fe80::1%eth0", "::ffff:127.0.0.0/104", "::ffff:127.0.0.1", "10.0.0.0/8 ", "0177.0.0.1"} {
		if list, err := ParseAllowed([]string{text}); err == nil || !strings.Contains(err.Error(), Setting) {
			t.Errorf("%q gives %v, %v", text, list, err)
		}
	}
}
