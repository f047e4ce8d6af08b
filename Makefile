# Every target sets up what it needs; `make help` lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PY := .venv/bin/python
UV := .venv/bin/uv
DEMO_ARGS ?=
CALL_ARGS ?=
PYTEST_ARGS ?=
COVERING := tests/state tests/scenarios tests/properties tests/mutants tests/schemas tests/understand tests/dialogue
MUTATE ?=
# A dozen processes that compile all they import, each of them at every start, cost more than they do.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2}'

.PHONY: setup
setup: .venv/.done ## build .venv from the lock file (every other target calls it)

.venv/.done: requirements.lock pyproject.toml
	@[ -x $(UV) ] || echo "building .venv from $<, which is done once"
	@[ -x $(PY) ] || python3 -m venv .venv
	@[ -x $(UV) ] || $(PY) -m pip install --quiet --disable-pip-version-check "$$(grep -oE '^uv==[0-9.]+' requirements.lock)"
	@$(UV) pip sync --quiet --require-hashes requirements.lock
	@$(UV) pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: lock
lock: ## renew requirements.lock from pyproject.toml (UPGRADE=1 takes newer versions)
	@[ -x $(UV) ] || { python3 -m venv .venv && $(PY) -m pip install --quiet uv; }
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  $(if $(UPGRADE),--upgrade) --group dev --group embedded --custom-compile-command 'make lock' \
	  pyproject.toml -o requirements.lock

.PHONY: format
format: setup ## let ruff rewrite the code
	@.venv/bin/ruff format --quiet . && .venv/bin/ruff check --quiet --fix .

.PHONY: check
check: setup ## format, lint, strict types, import direction, contracts (no test)
	@.venv/bin/ruff format --check --quiet . || { echo "Not formatted: run 'make format'."; exit 1; }
	@.venv/bin/ruff check --quiet .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-cache
	@.venv/bin/saveline schemas check
	@.venv/bin/saveline policy check

.PHONY: test
test: setup ## every test; starts what it needs
	@.venv/bin/pytest -n 2 --dist loadgroup $(PYTEST_ARGS)

.PHONY: test-fast
test-fast: setup ## only the tests that start no real component
	@.venv/bin/pytest -m 'not real' -n 2 --dist loadgroup $(PYTEST_ARGS)

.PHONY: test-observability
test-observability: setup ## metrics, alerts, runbooks and dashboards on a system that lives through the demo
	@.venv/bin/pytest -n 0 tests/observability $(PYTEST_ARGS)

.PHONY: test-helm
test-helm: setup ## the chart: lint, value sets, strict validation, policy scan, goldens, wrong values, all pods started
	@.venv/bin/pytest -q -n 0 tests/helm $(PYTEST_ARGS)

.PHONY: demo
demo: setup ## play a grocer's busiest hour in a minute on real parts, report, verify (DEMO_ARGS="--kill worker" "--keep")
	@$(PY) -m tests.demo $(DEMO_ARGS)

.PHONY: call
call: setup ## type to the voice agent about a real order (CALL_ARGS="--from NUMBER" in a system that runs)
	@$(PY) -m tests.demo.call $(CALL_ARGS)

.PHONY: callers
callers: setup ## play the scripted callers and print how they fared
	@$(PY) -m tests.dialogue.callers

.PHONY: bench-dialogue
bench-dialogue: setup ## CPU of a turn of the dialogue, 50 calls interleaved
	@$(PY) -m tests.bench.dialogue

.PHONY: bench-calls
bench-calls: setup ## CPU and wall time of a turn with everything that is stored before it is spoken
	@$(PY) -m tests.bench.calls

DATA ?=
.PHONY: understand-report
understand-report: setup ## coverage, unsafe commits, missed opt-outs of labelled sets (DATA=folder of *.jsonl)
	@.venv/bin/saveline understand report --data $(or $(DATA),tests/understand/data)

.PHONY: bench-core
bench-core: setup ## CPU of decide and size of its state (BENCH_JSON=1 prints JSON last)
	@$(PY) -m tests.bench.core

.PHONY: chaos-engine
chaos-engine: setup ## kill, freeze, wipe and roll workers and brokers, then recompute everything: two to three minutes (LONG=minutes)
	@$(PY) -m tests.chaos.engine --minutes $(or $(LONG),1.5)

.PHONY: bench-engine
bench-engine: setup ## the engine against its peers (BENCH=steady,... QUICK=1 BENCH_JSON=1)
	@$(PY) -m tests.bench

.PHONY: bench-register
bench-register: setup ## what counting and reporting a register costs (CASES=250000, up to a million: 20 GB of disk)
	@$(PY) -m tests.bench.register

.PHONY: lock-bench
lock-bench: setup ## renew the lock of the Quix peer, whose pins conflict with ours
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --custom-compile-command 'make lock-bench' tests/bench/quix.in -o tests/bench/quix.lock

.PHONY: lock-policy
lock-policy: setup ## renew the lock of the chart's policy scanner, whose pins conflict with ours
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --custom-compile-command 'make lock-policy' tests/helm/checkov.in -o tests/helm/checkov.lock

.PHONY: coverage
coverage: setup ## branch coverage of state/ and schemas/ by the fast tests; below 95 % of state/ it fails
	@.venv/bin/coverage erase
	@.venv/bin/coverage run -m pytest -q -m 'not real' $(COVERING) $(PYTEST_ARGS)
	@.venv/bin/coverage report --include='schemas/*'
	@.venv/bin/coverage report --include='state/*' --fail-under=95

.PHONY: mutants
mutants: setup ## break the heart on purpose, by hand and by mutmut (MUTATE='state.plan.*' runs these again); not in CI
	@.venv/bin/pytest -q tests/mutants
	@# Which test visits which function is learned anew: mutmut keeps it even where the code has moved.
	@rm -f mutants/mutmut-stats.json
	@.venv/bin/mutmut run $(MUTATE)
	@$(PY) -m tests.mutants.report

.PHONY: goldens
goldens: setup ## write what is derived from the chart: its topics, rights, secrets' keys, README, how each set of values renders
	@$(PY) -m tests.helm.golden

.PHONY: dashboards
dashboards: setup ## write the dashboards' JSON into the chart
	@$(PY) -m dashboards

.PHONY: previews
previews: setup ## play the demo under a Prometheus and draw the dashboards' pictures for the docs
	@$(PY) -m tests.observability.previews

.PHONY: metrics-table
metrics-table: setup ## write docs/metrics.md from the declarations
	@$(PY) -m tests.observability.table

.PHONY: clean
clean: ## remove everything that was built
	@rm -rf .venv .saveline/bench .saveline/checkov build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* mutants
