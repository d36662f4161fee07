# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Names for what tools/environment does; every target sets up what it needs by itself.

PYTHON ?= python3
CORE ?=
ON_PYTHON ?=
PYTEST_ARGS ?=
CORE_TESTS_ARGS ?=
ROUNDS ?= 10
SEED ?=
FIRST ?= 1
MINUTES ?=

ENVIRONMENT = PYTHONDONTWRITEBYTECODE=1 $(PYTHON) -m tools.environment
ON_CORE = $(if $(CORE),--core $(CORE)) $(if $(ON_PYTHON),--python $(ON_PYTHON))

.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help test test-all-cores lint format unit integration timing core-tests coverage endurance molecule demo bench screenshot docs changelog build install clean

help:  ## this list
	@echo 'make <target> [CORE=2.16] [ON_PYTHON=3.12] [PYTEST_ARGS="-k name"] [PYTHON=python3]'
	@sed -n 's/^\([a-z%-]*\):.*  ## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 20

test:  ## lint, all tests, molecule scenarios and the nearest of ansible-core's own targets, on one core (default: the newest release that the Pythons here can run)
	@$(ENVIRONMENT) test $(ON_CORE) -- $(PYTEST_ARGS)

test-all-cores:  ## the same on every supported core; names those that cannot run here
	@$(ENVIRONMENT) test-all-cores -- $(PYTEST_ARGS)

lint:  ## all gates, one line for each
	@$(ENVIRONMENT) lint $(ON_CORE)

lint-%:  ## one gate alone, such as lint-ruff (`make lint-list` names them)
	@$(ENVIRONMENT) lint $(ON_CORE) $*

format:  ## what ruff mends by itself: layout, order of imports
	@$(ENVIRONMENT) format $(ON_CORE)

unit:  ## unit tests
	@$(ENVIRONMENT) unit $(ON_CORE) -- $(PYTEST_ARGS)

integration:  ## real hosts, real ssh, the installed tarball
	@$(ENVIRONMENT) integration $(ON_CORE) -- $(PYTEST_ARGS)

timing:  ## how soon and how fast; what `make lint` must not measure
	@$(ENVIRONMENT) timing $(ON_CORE) -- $(PYTEST_ARGS)

core-tests:  ## ansible-core's own integration tests with the callback, and without it those that fail with it
	@$(ENVIRONMENT) core-tests $(ON_CORE) -- $(CORE_TESTS_ARGS)

coverage:  ## every row of the integration tests on one core, and docs/coverage.md made from them
	@$(ENVIRONMENT) coverage $(ON_CORE) -- $(PYTEST_ARGS)

endurance:  ## ROUNDS=10 rounds of ten runs on four hosts, five of them interrupted at random; SEED=N FIRST=M repeat a round
	@$(ENVIRONMENT) endurance $(ON_CORE) -- --rounds $(ROUNDS) --first $(FIRST) $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES))

molecule:  ## the scenarios in extensions/molecule, on throw-away hosts
	@$(ENVIRONMENT) molecule $(ON_CORE) -- $(PYTEST_ARGS)

demo:  ## two throw-away hosts, a nasty process tree, Ctrl-C, and what is left
	@$(ENVIRONMENT) demo $(ON_CORE)

bench:  ## the figures in docs/, measured here
	@$(ENVIRONMENT) bench $(ON_CORE)

screenshot:  ## docs/recap.svg, the picture of a recap: a real run in a real terminal
	@$(ENVIRONMENT) screenshot $(ON_CORE)

docs:  ## the documentation site from docs/ and the plugins' own documentation, and the tables of docs/options.md; prints the path of its first page
	@$(ENVIRONMENT) docs $(ON_CORE)

changelog:  ## CHANGELOG.md for the version in galaxy.yml, from the fragments
	@$(ENVIRONMENT) changelog $(ON_CORE)

build:  ## the tarball; prints its path
	@$(ENVIRONMENT) build $(ON_CORE)

install:  ## the tarball installed under .cache; prints the path for ANSIBLE_COLLECTIONS_PATH
	@$(ENVIRONMENT) install $(ON_CORE)

clean:  ## remove all that the other targets created
	@$(ENVIRONMENT) clean
