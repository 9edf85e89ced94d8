# The things a person types. Each target is one script; run a script with -h, or read its head, for its options.
.DEFAULT_GOAL := help
.PHONY: help demo stop purge test lint bench conformance

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

demo: ## from a bare Debian machine to WordPress in a browser (as root)
	@setup/demo.sh

stop: ## stop the demo's cloud; its containers keep running
	@setup/cloud.sh stop

purge: ## remove everything of the demo's cloud from this machine
	@setup/cloud.sh purge

test: ## format, lint, unit tests and end-to-end tests (as root)
	@tests/run.sh

lint: ## format, clippy, shell scripts, crate arrows, licences; no test
	@tests/lint.sh

bench: ## measure: one table, ours beside the reference (as root)
	@bench/run.sh

conformance: ## upstream's own test suites against a fresh cloud (as root)
	@conformance/run.sh
