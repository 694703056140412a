# The two that matter: `make demo` and `make test`. Both do all set-up, and ask
# sudo for it unless they run as root.

GO      ?= go
AS_ROOT := $(shell [ "$$(id -u)" = 0 ] || echo sudo -E -H env PATH=$$PATH)

.DEFAULT_GOAL := build
.PHONY: build setup demo demo-servers test test-cluster test-apps cluster cluster-down model bench dist lint clean FORCE

build: bin/adamant ## one static binary, bin/adamant

bin/adamant: FORCE
	GO=$(GO) scripts/build $@

setup: ## install what is missing on this machine
	scripts/setup

demo: setup build ## an nginx pod: broken, learned, sealed, proven; rolled out, rolled back, replaced
	@$(AS_ROOT) scripts/app-image nginx-container >/dev/null
	@$(AS_ROOT) scripts/app-image nginx-debian >/dev/null
	@$(AS_ROOT) scripts/demo

demo-servers: setup build ## three servers updated at once: one fails, is found, explained and repaired
	@$(AS_ROOT) scripts/demo-servers

test: ## all tests but the cluster's; those that depend on containerd also on containerd 2.4
	scripts/setup --test
	$(MAKE) build
	$(AS_ROOT) scripts/test

test-cluster: ## pods must be as under a real kubelet, and sealed applications and rollouts work in a real cluster
	scripts/setup --test
	$(AS_ROOT) scripts/test-cluster

test-apps: ## what make test has no time for: the slow applications must hold under ten times their load, and need each volume
	scripts/setup --test
	$(AS_ROOT) env ADAMANT_TEST_APPS=all $(GO) test -count 1 -timeout 40m -parallel 2 -v -run TestMoreApplications ./internal/learn

cluster: ## starts the cluster of the tests for interactive use; scripts/cluster in reaches it
	scripts/setup --test
	$(AS_ROOT) scripts/cluster up

cluster-down: ## ends it
	$(AS_ROOT) scripts/cluster down

model: ## a million random lives of the state machine of rollouts; the tests run a thousand
	ADAMANT_MODEL_SEEDS=1000000 $(GO) test -timeout 3h -run TestRandomLives ./internal/workload/rollout

bench: build ## the measurements of bench/README.md
	scripts/setup --bench
	$(AS_ROOT) bench/run

dist: ## what a release consists of, in dist/; scripts/dist --check builds it twice
	GO=$(GO) scripts/dist

lint: ## gofmt, go vet, staticcheck, and the shell scripts' syntax
	scripts/lint

clean: ## remove what was built; rm -r .cache to build images anew as well
	rm -rf bin dist internal/servers/connect/agents/*.gz internal/learn/programs/*.gz
