# make alone lists what it can do.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  := -s -w -X main.version=$(VERSION)
PROGRAMS := $(patsubst tasks/%/main.go,%,$(wildcard tasks/*/main.go))
SDK      := go.mod $(wildcard contract/*.go tasks/mapreduce/*.go tasks/picture/*.go)
GO_BUILD := CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)'
# Where goroutines share memory. The rest is pure, or drives binaries: the race
# detector would find nothing there, and make the programs ten times as slow.
RACED    := ./client/... ./sandbox/... ./server/... ./wasmworker/...
# This test moves so many bytes that the race detector would take minutes of it.
LARGE    := TestLargestInputsAndResultWork
LINT      = $$(go tool -n -modfile=scripts/lint.mod golangci-lint)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile

.PHONY: build
build: programs web ## build bin/potluck and bin/potluck-worker, both static
	$(GO_BUILD) -o bin/potluck ./server
	$(GO_BUILD) -o bin/potluck-worker ./wasmworker

.PHONY: run
run: build ## build everything and serve a grid on http://127.0.0.1:8080
	bin/potluck serve

.PHONY: web
web: web/dist/index.html ## build the pages and the browser's worker, to be embedded

.PHONY: demo
demo: build ## run the main job end to end on a grid of its own, and show it
	go run ./scripts/demo

.PHONY: demo-sabotage
demo-sabotage: build ## run liars against a real server, and show what becomes of them
	go run ./scripts/sabotage

.PHONY: picture
picture: build ## take the picture that the README opens with
	go run ./scripts/picture

.PHONY: test
test: programs web generated lint ## check everything: what CI runs
	scripts/install.sh gcc chromium firefox-esr qemu-aarch64=qemu-user
	cd web && npm test
	$(MAKE) test-raced
	$(MAKE) test-plain

.PHONY: test-raced test-plain
test-raced: # one package at a time: much of it waits, while the others compute
	go test -race -p 1 -shuffle=on -timeout 20m -skip '^$(LARGE)$$' $(RACED)
test-plain: # likewise: runners work at the lowest priority, and starve beside others
	go test -timeout 12m -run '^$(LARGE)$$' ./server/app
	go test -p 1 -shuffle=on -timeout 20m $$(go list ./... | grep -vxF "$$(go list $(RACED))")

.PHONY: bench
bench: build ## measure speed and memory, beside floors measured in the same run
	scripts/install.sh chromium clang wasm-ld=lld /usr/lib/wasm32-wasi/libc.a=wasi-libc "$$(clang --print-resource-dir 2>/dev/null)/lib/wasi/libclang_rt.builtins-wasm32.a=libclang-rt-dev-wasm32"
	go run ./scripts/bench
	go test -run '^$$' -bench . -benchtime 0.5s ./server/schedule ./server/ledger ./sandbox/process

.PHONY: trust
trust: ## attack the scheduler with simulated saboteurs, beside models of what others do
	go run ./scripts/trust

.PHONY: chaos
chaos: programs web ## kill, stop and starve a real server in one job, 76 times, and demand the same bytes
	go test -v ./scripts/chaos -long -seed 0 -timeout 2h

.PHONY: fuzz
fuzz: programs web ## fuzz each parser for a minute, and all engines with ten million random functions
	@for package in $$(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./...); do \
		for target in $$(go test -list '^Fuzz' "$$package" | grep '^Fuzz' || true); do \
			echo "$$package $$target"; go test "$$package" -run '^$$' -fuzz "^$$target\$$" -fuzztime 1m; \
		done; \
	done
	scripts/install.sh chromium firefox-esr qemu-aarch64=qemu-user
	go test -v ./scripts/engines -run 'Random|Moved|Publishing' -functions 10000000 -seed 0 -within 15m -timeout 5h

.PHONY: lint
lint: programs web/node_modules/.package-lock.json ## look for mistakes, natively and as the browser's worker is built
	cd web && npm run check
	@go vet ./... && go fix -omitzero=false -diff ./...
	$(LINT) run ./...
	GOOS=js GOARCH=wasm $(LINT) run ./wasmworker/... ./wire/...
	GOOS=windows go vet ./... && GOOS=darwin GOARCH=arm64 go vet ./...

.PHONY: fmt
fmt: ## format the code
	$(LINT) fmt ./...
	cd web && npm run format

.PHONY: generate
generate: ## write the API's stubs and client anew from its description
	go generate ./server/api

.PHONY: generated
generated: generate # what is generated must be what was committed
	git diff --exit-code -- server/api client

.PHONY: release
release: programs web ## build for Linux, macOS and Windows on amd64 and arm64
	@for os in linux darwin windows; do for arch in amd64 arm64; do \
		ext=$$([ $$os = windows ] && echo .exe || true); echo "release/potluck_$${os}_$$arch"; \
		GOOS=$$os GOARCH=$$arch $(GO_BUILD) -o "release/potluck_$${os}_$$arch$$ext" ./server; \
		GOOS=$$os GOARCH=$$arch $(GO_BUILD) -o "release/potluck-worker_$${os}_$$arch$$ext" ./wasmworker; \
	done; done

.PHONY: clean
clean: ## remove what was built
	rm -rf bin release tasks/bin/*.wasm tasks/bin/*.json web/generated web/dist/*

.PHONY: programs
programs: $(PROGRAMS:%=tasks/bin/%.json) # the built-in programs, to be embedded

.SECONDEXPANSION: # a program is made of all files of its folder
tasks/bin/%.wasm: $$(wildcard tasks/$$*/*.go) $(SDK)
	GOOS=wasip1 GOARCH=wasm go build -trimpath -buildvcs=false -ldflags '-s -w' -o $@ ./tasks/$*

tasks/bin/%.json: tasks/bin/%.wasm
	go run ./tasks/$* describe > $@

.PRECIOUS: tasks/bin/%.wasm

# The browser's worker is the same program as potluck-worker, for another platform.
web/generated/agent.wasm: go.mod $(shell find wasmworker wire sandbox contract -name '*.go' ! -name '*_test.go')
	GOOS=js GOARCH=wasm go build -trimpath -buildvcs=false -ldflags '-s -w' -o $@ ./wasmworker

web/generated/wasm_exec.js: $(shell go env GOROOT)/lib/wasm/wasm_exec.js
	mkdir -p web/generated && cp $< $@

web/node_modules/.package-lock.json: web/package-lock.json
	cd web && npm ci

web/dist/index.html: web/node_modules/.package-lock.json web/generated/agent.wasm web/generated/wasm_exec.js server/api/openapi.yaml \
		$(shell find web/src web/public web/build -type f ! -name '*.gen.ts') $(wildcard web/*.ts web/*.js web/*.html docs/*.md docs/images/* tasks/*/picture.svg)
	cd web && npm run build
