package guard

import (
	"fmt"
	"net/netip"
	"strings"
)

// Setting is the operator's setting that allows what is refused, as a flag and
// as a key of a node's file.
const Setting = "allow-addresses"

// The words of Setting that stand for several prefixes.
const (
	wordLoopback = "loopback"
	wordPrivate  = "private"
)

var words = map[string][]netip.Prefix{
	wordLoopback: prefixes("127.0.0.0/8", "::1/128"),
	wordPrivate:  prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"),
}

// ParseAllowed reads a list of loopback, private, prefixes and addresses.
func ParseAllowed(list []string) ([]netip.Prefix, error) {
	var allowed []netip.Prefix
	for _, text := range list {
		if many, ok := words[text]; ok {
			allowed = append(allowed, many...)
			continue
		}
		prefix, err := netip.ParsePrefix(text)
		if addr, addrErr := netip.ParseAddr(text); err != nil && addrErr == nil && addr.Zone() == "" {
			prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil || prefix.Addr().Is4In6() {
			return nil, fmt.Errorf("%s: %q is neither %s nor %s nor a prefix such as 10.1.0.0/16", Setting, text, wordLoopback, wordPrivate)
		}
		allowed = append(allowed, prefix.Masked())
	}
	return allowed, nil
}

// refused are addresses that are somebody's own. IPv6 has more of them than of
// others: outside of 2000::/3 everything is refused.
var refused = []struct {
	what     string
	word     string // of the setting, when there is one
	prefixes []netip.Prefix
}{
	{"a loopback address", wordLoopback, words[wordLoopback]},
	{"a private address", wordPrivate, words[wordPrivate]},
	{"a link-local address", "", prefixes("169.254.0.0/16", "fe80::/10")},
	{"an address of this network", "", prefixes("0.0.0.0/8", "::/128")},
	{"an address shared behind a provider's translation", "", prefixes("100.64.0.0/10")},
	{"a multicast address", "", prefixes("224.0.0.0/4", "ff00::/8")},
	{"a broadcast or reserved address", "", prefixes("240.0.0.0/4")},
	{"an address for documentation", "", prefixes("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20")},
	{"an address for benchmarks", "", prefixes("198.18.0.0/15")},
	{"an address for protocols", "", prefixes("192.0.0.0/24", "2001::/23")},
	{"an address of a tunnel, behind which another one stands", "", prefixes("192.88.99.0/24", "2002::/16")},
}

// metadata are addresses at which clouds hand out a machine's credentials. They
// lie in larger networks, and allowing those must not open them.
var metadata = addresses(
	"169.254.169.254", "169.254.170.2", "169.254.170.23", "100.100.100.200", "192.0.0.192", "168.63.129.16",
	"fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254",
)

var (
	global = netip.MustParsePrefix("2000::/3")
	// nat64 holds all of IPv4, and is how a network without IPv4 reaches it.
	nat64 = netip.MustParsePrefix("64:ff9b::/96")
)

// plain gives the address that stands behind another spelling of it.
func plain(addr netip.Addr) netip.Addr {
	addr = addr.WithZone("").Unmap()
	if nat64.Contains(addr) {
		bytes := addr.As16()
		return netip.AddrFrom4([4]byte(bytes[12:]))
	}
	return addr
}

// reason says why an address is refused and what would allow it, or "".
func reason(addr netip.Addr, allowed []netip.Prefix) (what, allow string) {
	addr = plain(addr)
	for _, secret := range metadata {
		if addr == secret {
			if containsAlone(allowed, addr) {
				return "", ""
			}
			return "an address at which a cloud gives out credentials", addr.String()
		}
	}
	if contains(allowed, addr) {
		return "", ""
	}
	for _, kind := range refused {
		if !contains(kind.prefixes, addr) {
			continue
		}
		if kind.word != "" {
			return kind.what, kind.word
		}
		return kind.what, addr.String()
	}
	if addr.Is6() && !global.Contains(addr) {
		return "no global address", addr.String()
	}
	return "", ""
}

func contains(list []netip.Prefix, addr netip.Addr) bool {
	for _, prefix := range list {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// containsAlone reports whether a prefix names the address and no other.
func containsAlone(list []netip.Prefix, addr netip.Addr) bool {
	for _, prefix := range list {
		if prefix.IsSingleIP() && prefix.Addr() == addr {
			return true
		}
	}
	return false
}

// isNumber reports whether a host is spelled as a number that is no address in
// the one usual spelling: resolvers differ in what they take 0177.1 for.
func isNumber(host string) bool {
	host = strings.TrimSuffix(host, ".")
	last := host[strings.LastIndexByte(host, '.')+1:]
	if hex, ok := strings.CutPrefix(strings.ToLower(last), "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(last, "0123456789") == ""
}

func prefixes(texts ...string) (list []netip.Prefix) {
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

func addresses(texts ...string) (list []netip.Addr) {
	for _, text := range texts {
		list = append(list, netip.MustParseAddr(text))
	}
	return list
}
