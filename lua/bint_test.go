package lua_test

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/wallaby-ao/wallaby/lua"
)

// TestBigIntegersAreThoseOfGo works out sums, products and quotients of random integers
// of up to 60 digits.
func TestBigIntegersAreThoseOfGo(t *testing.T) {
	g := ours(t, lua.Files{"process": []byte("B = require('.bint')(256)\n")})
	g.spawn()
	random := rand.New(rand.NewPCG(5, 6))
	number := func() *big.Int {
		digits := make([]byte, 1+random.IntN(60))
		for i := range digits {
			digits[i] = byte('0' + random.IntN(10)*random.IntN(2))
		}
		n, _ := new(big.Int).SetString(string(digits), 10)
		if random.IntN(2) == 0 {
			n.Neg(n)
		}
		return n
	}
	var code strings.Builder
	var want []string
	code.WriteString("local out = {} local function add(x) out[#out + 1] = tostring(x) end\n")
	for range 150 {
		a, b := number(), number()
		fmt.Fprintf(&code, "add(B('%s') + B('%s')) add(B('%s') - B('%s')) add(B('%s') * B('%s')) add(B('%s') < B('%s'))\n", a, b, a, b, a, b, a, b)
		want = append(want, new(big.Int).Add(a, b).String(), new(big.Int).Sub(a, b).String(), new(big.Int).Mul(a, b).String(), fmt.Sprint(a.Cmp(b) < 0))
		if b.Sign() == 0 {
			continue
		}
		fmt.Fprintf(&code, "add(B('%s') // B('%s')) add(B('%s') %% B('%s')) add(B.tdiv(B('%s'), B('%s')))\n", a, b, a, b, a, b)
		rest := new(big.Int).Mod(a, b) // never negative
		if b.Sign() < 0 && rest.Sign() != 0 {
			rest.Add(rest, b)
		}
		floor := new(big.Int).Sub(a, rest)
		want = append(want, floor.Quo(floor, b).String(), rest.String(), new(big.Int).Quo(a, b).String())
	}
	code.WriteString("return table.concat(out, '\\n')")
	got := g.read(g.send(1, eval(code.String())))
	lines := strings.Split(got.Output.Data, "\n")
	if got.Error != "" || len(lines) != len(want) {
		t.Fatalf("%d lines, %s", len(lines), got.Error)
	}
	for i := range want {
		if lines[i] != want[i] {
			t.Fatalf("line %d is %s, not %s", i, lines[i], want[i])
		}
	}
}
