# Versions of tools stand here and not in go.mod, so that users do not inherit them.
GOLANGCI_VERSION := v2.15.0

GO        ?= go
FUZZTIME  ?= 60s
BENCHTIME ?= 1s
TIMEOUT   ?= 400s
RACETIME  ?= 900s

PKG       ?= ./...

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c

BIN       := $(CURDIR)/.bin
GOLANGCI  := $(BIN)/golangci-lint-$(GOLANGCI_VERSION)
# The oldest Go that users may have, as in go.mod. The tests themselves need the newer one there.
OLDEST_GO := go1.25.0
# Go before 1.27 fails a fuzz target by chance when its time is over: https://go.dev/issue/75804.
FUZZ_GO   := go1.27.4
PLATFORMS := windows/amd64 darwin/arm64 linux/arm linux/386
# Modules of their own, for what users of the library must not inherit.
NESTED    := examples/browser examples/pion-port/before interop interop/peers/pion

.DEFAULT_GOAL := help
.PHONY: help demo test nested race lint fmt tidy vet fuzz bench cover check check-rest interop interop-fast

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## two processes connect, move 64 MiB, close, and meet a silent peer
	$(GO) run ./examples/ortc

test: ## all tests, in random order (3 minutes on two idle cores)
	$(GO) test -shuffle=on -timeout $(TIMEOUT) ./...

nested: ## tests of the modules under examples, in Chromium too (installed if it is not there)
	@command -v chromium >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; }
	@for module in $(NESTED); do \
		echo "go test in $$module"; \
		$(GO) -C $$module test -timeout $(TIMEOUT) ./...; \
	done

# The root package in parts, each a process of its own: in one, so many goroutines can
# exhaust the epochs of ThreadSanitizer, which ends then with "CHECK failed:
# tsan_rtl.cpp". The last part is what the others are not.
RACE_PARTS := TestI TestS Test[CD] Test[LP] Test[MRX]
empty      :=
space      := $(empty) $(empty)

race: ## all tests under the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -race -shuffle=on -timeout $(RACETIME) $$($(GO) list ./... | tail -n +2)
	@for part in '$(subst $(space),' ',$(RACE_PARTS))'; do \
		echo "go test -race -run ^$$part ."; \
		CGO_ENABLED=1 $(GO) test -race -shuffle=on -timeout $(RACETIME) -run "^$$part" . || exit 1; \
	done
	CGO_ENABLED=1 $(GO) test -race -shuffle=on -timeout $(RACETIME) -skip '^($(subst $(space),|,$(RACE_PARTS)))' .

lint: $(GOLANGCI) ## linters and the format of the source
	$(GOLANGCI) run ./...
	cd examples/browser && $(GOLANGCI) run --config $(CURDIR)/.golangci.yml ./...
	cd interop && $(GOLANGCI) run --config $(CURDIR)/.golangci.yml ./...

fmt: $(GOLANGCI) ## gofumpt and goimports, in place
	$(GOLANGCI) fmt ./...
	cd interop && $(GOLANGCI) fmt --config $(CURDIR)/.golangci.yml ./...

tidy: ## fail if go.mod or go.sum is not tidy
	$(GO) mod tidy -diff
	@for module in $(NESTED); do $(GO) -C $$module mod tidy -diff; done

vet: ## go vet, here, with the oldest Go, and for other systems
	$(GO) vet ./...
	GOTOOLCHAIN=$(OLDEST_GO) $(GO) vet ./...
	@for platform in $(PLATFORMS); do \
		echo "go vet for $$platform"; \
		CGO_ENABLED=0 GOOS=$${platform%/*} GOARCH=$${platform#*/} $(GO) vet ./...; \
	done
	@for module in $(NESTED); do $(GO) -C $$module vet ./...; done

fuzz: ## each fuzz target of PKG=./... for FUZZTIME=60s, one after the other
	@$(GO) list -f '{{$$d := .Dir}}{{range .TestGoFiles}}{{println $$d .}}{{end}}{{range .XTestGoFiles}}{{println $$d .}}{{end}}' $(PKG) \
	| while read -r dir file; do \
		test -n "$$file" || continue; \
		cd "$$dir"; \
		for name in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$$file"); do \
			echo "$$name in $$dir"; \
			GOTOOLCHAIN=$(FUZZ_GO) $(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) . < /dev/null; \
		done; \
	done

bench: ## each benchmark of PKG=./... for BENCHTIME=1s
	$(GO) test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) -timeout 30m $(PKG)

cover: ## share of statements that the tests run
	@mkdir -p $(BIN)
	$(GO) test -timeout $(TIMEOUT) -coverpkg=./... -coverprofile=$(BIN)/cover.out ./...
	$(GO) tool cover -func=$(BIN)/cover.out | tail -n 1

interop: ## connect to other implementations in network namespaces (root; installs them)
	cd interop && $(GO) build -o .bin/lab ./cmd/lab && .bin/lab -install -results RESULTS.md

# Its results go to a file that git ignores, so that CI does not change the tree.
interop-fast: ## the same with those that are small: pion, libwebrtc, libdatachannel, werift, aiortc
	cd interop && $(GO) build -o .bin/lab ./cmd/lab && .bin/lab -install -fast -jobs 2 -results .bin/fast.md

check: test check-rest ## what CI runs before interop-fast: test, nested, tidy, vet, lint, race, and fuzz for 5s each

# What check runs beside the tests; a target of its own so that CI can show the two apart.
check-rest: tidy vet lint nested race
	$(MAKE) fuzz FUZZTIME=5s

$(GOLANGCI):
	@mkdir -p $(BIN)
	GOBIN=$(BIN) GOOS= GOARCH= $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv $(BIN)/golangci-lint $@
