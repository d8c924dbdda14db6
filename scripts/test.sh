#!/usr/bin/env bash
# Runs the named parts of the tests one after the other, goes on when one
# fails, and ends with the sum of what they counted: N passed, N failed.
set -uo pipefail
cd "$(dirname "$0")/.."

self=scripts/test.sh
GO=${GO:-go}
FUZZTIME=${FUZZTIME:-10000x}
STATICCHECK=${STATICCHECK:-honnef.co/go/tools/cmd/staticcheck@v0.8.2}
# Packages in which goroutines share state, so far as they exist.
concurrent=(raft node log engine history messenger http courier arweave/gateway settlement vm/wazero vm/plugin)

# What unit runs and race does not: comparisons of engines with each other and with the
# reference, disks that lose power and bits in virtual time, a week of ticks, replays, and
# proofs and checkpoints that are altered in many ways. All of it is one goroutine at a time,
# which takes very long with the race detector, as does the hashing of whole states of aos.
# The suite of a log on three nodes has one client; TestClusterLosesNothing has many, and runs.
not_raced=(
	'^TestEnginesAreEqual' '^TestEnginesFailAlike' '^TestStatesMove' '^TestHostile' '^TestMicro' '^TestVectors' '^TestRandom'
	'^TestHistories$' '^TestConformanceOfTheInterpreter$' '^TestResultsEqualTheReference' '^TestAReference'
	'^TestADamagedIndexIsMadeAnew' '^TestPowerCutsLoseNothing' '^TestFlippedBitsAreNeverSilent' '^TestASnapshotMayBeCutOff'
	'^TestAWeekOfTicks' '^TestTicksAreTheSameHoweverTheyCame' '^TestTheTimeZoneOfTheReferenceLoaderIsFound'
	'^TestAProofIs' '^TestACheckpointIsBelieved' '^TestAGatewayThatShows' '^TestAWipedNodeAnswers'
	'^TestCheckpointsAreMade' '^TestACheckpointOfTheReferenceIsTakenUp' '^TestADifferenceIsTraced' '^TestLuaGlobalsThatDiffer'
	'^TestQuorumsAreTheSameInEveryReplay' '^TestResultsAreTheReferencesOwn' '^TestThreeNodesAreALog$'
)

check() { "$testsum" check "$counts" "$@"; }
skip() { "$testsum" skip "$counts" "$@"; }
have_node() { command -v node >/dev/null && command -v npm >/dev/null; }

# npm_ci installs the locked packages of a directory unless they are there.
npm_ci() {
	local dir=$1 stamp=$1/node_modules/.installed
	if [ -f "$stamp" ] && cmp -s "$stamp" "$dir/package-lock.json"; then
		return 0
	fi
	(cd "$dir" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) &&
		cp "$dir/package-lock.json" "$stamp"
}

setup() {
	check "setup: Go modules" "$GO" mod download
	if command -v "$("$GO" env CC)" >/dev/null; then
		check "setup: plugins" scripts/plugins.sh
	else
		skip "setup: plugins" "there is no C compiler; wasmer and wasmtime are not compared"
	fi
	if scripts/runtime.sh; then
		check "setup: Lua runtime" test -f lua/runtime.wasm
	elif command -v apt-get >/dev/null; then
		check "setup: Lua runtime" scripts/runtime.sh
	else
		skip "setup: Lua runtime" "it is built with Debian's packages; processes of our own Lua are not tested"
	fi
	if ! have_node; then
		skip "setup: aos modules and npm packages" "node and npm are missing; tests that need them skip"
		return
	fi
	check "setup: aos modules" scripts/fetch-modules.sh
	local dir
	for dir in e2e vm/vmtest/oracle; do
		if [ -f "$dir/package-lock.json" ]; then
			check "setup: npm packages of $dir" "$self" npm_ci "$dir"
		fi
	done
}

lint() {
	check "gofmt" "$self" gofmt_clean
	check "go vet" "$GO" vet ./...
	check "staticcheck" "$GO" run "$STATICCHECK" ./...
	check "go mod tidy" "$GO" mod tidy -diff
	check "static build" scripts/build.sh
	check "go vet of bench/peers" "$GO" -C bench/peers vet ./...
	local machine
	for machine in wasmer wasmtime; do
		check "go mod tidy of vm/$machine" "$GO" -C "vm/$machine" mod tidy -diff
		if command -v "$("$GO" env CC)" >/dev/null; then
			check "go vet of vm/$machine" "$GO" -C "vm/$machine" vet ./...
		fi
	done
}

gofmt_clean() {
	local files
	files=$(gofmt -l $(git ls-files '*.go' 2>/dev/null || find . -name '*.go'))
	[ -z "$files" ] || { echo "run gofmt -w on:"; echo "$files"; return 1; }
}

unit() {
	# What takes longest is first, so that no core waits for it in the end, and beside it
	# what mostly waits.
	"$testsum" gotest "$counts" "go test" -timeout 15m ./vm/plugin ./system ./node ./cmd/wallaby ./raft ./engine ./vm/wazero ./...
	local machine
	for machine in wasmer wasmtime; do
		if command -v "$("$GO" env CC)" >/dev/null; then
			(cd "vm/$machine" && "$testsum" gotest "$counts" "go test, vm/$machine" -timeout 5m ./...)
		else
			skip "go test, vm/$machine" "there is no C compiler"
		fi
	done
	"$testsum" gotest "$counts" "go test, guards taken out" -timeout 5m -tags mutant -run Mutant ./raft
}

# system is the long run: many more faults, worlds, clusters and evaluations than unit tries.
system() {
	WALLABY_EVALUATIONS=${WALLABY_EVALUATIONS:-50000} WALLABY_RANDOM_MODULES=${WALLABY_RANDOM_MODULES:-1000} \
		"$testsum" gotest "$counts" "go test, evaluations" -timeout 40m -run 'TestEnginesAreEqual|TestRandomModulesAreEqual' ./vm/plugin
	WALLABY_FAULTS=${WALLABY_FAULTS:-200} WALLABY_HOPS=${WALLABY_HOPS:-1000} "$testsum" gotest "$counts" "go test, faults" -timeout 40m ./system
	WALLABY_SEEDS=${WALLABY_SEEDS:-200} "$testsum" gotest "$counts" "go test, worlds" -timeout 30m \
		-run 'ShortLog|ComeBack' ./raft
	WALLABY_SEEDS=${WALLABY_CLUSTERS:-40} "$testsum" gotest "$counts" "go test, clusters" -timeout 30m \
		-run TestClusterLosesNothing ./raft
}

race() {
	local packages=() name
	for name in "${concurrent[@]}"; do
		if [ -d "$name" ]; then packages+=("./$name"); fi
	done
	"$testsum" gotest "$counts" "go test -race" -race -skip "$(IFS='|'; echo "${not_raced[*]}")" -timeout 15m "${packages[@]}"
}

# fuzz runs every target for a short time. The committed corpora run with the
# unit tests already; this looks for new inputs. A number of inputs ends better
# than a time: Go counts a worker that is busy at the last moment as a failure.
fuzz() {
	local file dir target
	while IFS=: read -r file target; do
		dir=$(dirname "$file")
		"$testsum" gotest "$counts" "fuzz $dir $target" \
			-run '^$' -fuzz "^$target\$" -fuzztime "$FUZZTIME" "./$dir"
	done < <(grep -rHo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . |
		sed 's|^\./||; s|func ||' | sort)
}

e2e() {
	if ! have_node; then
		skip "e2e" "node and npm are missing; the real aoconnect was not run"
		return
	fi
	check "build for e2e" scripts/build.sh &&
		"$testsum" run "$counts" "e2e" node e2e/run.mjs
}

# npm_ci_arlocal installs arlocal, whose store is built from source.
npm_ci_arlocal() {
	local stamp=e2e/arlocal/node_modules/.built
	npm_ci e2e/arlocal && { [ -f "$stamp" ] || (cd e2e/arlocal && npm_config_build_from_source=true npm rebuild sqlite3 --loglevel=error) && touch "$stamp"; }
}

# arlocal has settlement judged by a gateway of others.
arlocal() {
	if ! have_node || ! command -v "$("$GO" env CC)" >/dev/null; then
		skip "arlocal" "node, npm or a C compiler is missing; nobody else has looked at what is settled"
		return
	fi
	if ! "$self" npm_ci_arlocal; then
		skip "arlocal" "it could not be installed; nobody else has looked at what is settled"
		return
	fi
	WALLABY_ARLOCAL=1 "$testsum" gotest "$counts" "go test, arlocal" -timeout 10m -run Arlocal ./settlement
}

# Functions that testsum runs as checks come back in through here.
case "${1:-}" in
npm_ci | npm_ci_arlocal | gofmt_clean)
	"$@"
	exit
	;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
counts=$work/counts
testsum=$work/testsum
if ! "$GO" build -o "$testsum" ./internal/testsum; then
	echo "0 passed, 1 failed"
	exit 1
fi

for part in "$@"; do
	case "$part" in
	setup | lint | unit | race | fuzz | e2e | system | arlocal) echo "== $part" && "$part" ;;
	*) echo "test.sh: no part named $part" >&2 && exit 2 ;;
	esac
done
echo
"$testsum" total "$counts"
