# Wallaby: `make` alone lists what there is.
# It needs Go and, for the ao modules and the real clients, node with npm.

GO          ?= go
ARGS        ?=
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

export GO FUZZTIME STATICCHECK

.DEFAULT_GOAL := help
.PHONY: help demo dev build plugins runtime modules test unit race lint fuzz e2e test-system test-arlocal bench bench-vm peers clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## a token, a crash and a proof, in a second; installs what it needs
	@scripts/demo.sh

dev: ## start a node with real aos modules on 127.0.0.1:4000 (ARGS="--port-base 5000")
	@scripts/dev.sh $(ARGS)

build: ## build the static binary bin/wallaby
	@scripts/build.sh

runtime: ## build the Lua runtime lua/runtime.wasm (installs clang, lld and wasi-libc)
	@scripts/runtime.sh

modules: ## fetch the pinned aos modules into testdata/modules
	@scripts/fetch-modules.sh

test: ## run everything: lint, unit, race, fuzz and e2e; ends with N passed, N failed
	@scripts/test.sh setup lint unit race fuzz e2e

unit: ## run the Go tests
	@scripts/test.sh setup unit

race: ## run the concurrent packages under the race detector
	@scripts/test.sh setup race

lint: ## check gofmt, vet, staticcheck, go.mod and the static build
	@scripts/test.sh lint

fuzz: ## fuzz every target for FUZZTIME (10000x: so many inputs, or as in 10m)
	@scripts/test.sh fuzz

e2e: ## run the real aoconnect against a node
	@scripts/test.sh setup e2e

test-system: ## 200 faults of real nodes, 1,000 hops, 200 worlds, 40 clusters, 50,000 evaluations, 1,000 random modules (WALLABY_FAULTS, _HOPS, _SEEDS, _CLUSTERS, _EVALUATIONS, _RANDOM_MODULES)
	@scripts/test.sh setup system

test-arlocal: ## settle at arlocal, a gateway by others; installs it first, which takes minutes
	@scripts/test.sh arlocal

bench: build ## measure a node and its peers (ARGS="node -o json")
	bin/wallaby bench $(if $(ARGS),$(ARGS),node)

plugins: ## build bin/wallaby-vm-wasmtime and bin/wallaby-vm-wasmer (cgo)
	@scripts/plugins.sh

bench-vm: build plugins ## compare the virtual machines, and the reference loader: report/report.html
	bin/wallaby bench vm --out report

peers: ## build bin/wallaby-peers, which bench log measures beside wallaby
	cd bench/peers && CGO_ENABLED=0 $(GO) build -trimpath -o ../../bin/wallaby-peers .

clean: ## remove what was built or fetched; never a node's data
	rm -rf bin testdata/modules e2e/node_modules e2e/arlocal/node_modules vm/vmtest/oracle/node_modules
