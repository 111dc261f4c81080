# The door of the house. Every target works from a bare clone: set-up runs first, and is instant when nothing changed.
.PHONY: help setup demo test bench campaign check format stop check-format check-lint check-imports check-types check-templates \
	check-migrations check-documents
.DEFAULT_GOAL := help
unexport PYTHONDONTWRITEBYTECODE
unexport PYTHONPATH
unexport PYTHONHOME
unexport VIRTUAL_ENV

VENV := .venv/bin
PYTHON_RUN := $(VENV)/python
OURS := audit governance models care_loops edge_wearables config tests deploy manage.py
WITH_SERVICES := $(PYTHON_RUN) -m config.embedded run --
WORKERS ?= 2

help:
	@echo "make demo [HEADLESS=1] [DATA=PATH]   a synthetic hospital, from nothing to the loop's result, then the web server"
	@echo "make test [ARGS=...]                 everything the tests need, then the tests"
	@echo "make bench [ONLY=G13,...]            each goal beside what it is measured against, as ratios; writes bench.json"
	@echo "make campaign [ONLY=a,b]             the long figures, each beside a seeded defect; writes campaign.json"
	@echo "make check                           format, lint, types, imports, migrations, generated documents"
	@echo "make setup                           only the environment"
	@echo "make stop                            stop the embedded database and broker"

setup:
	@deploy/setup.sh

demo: setup
	@$(WITH_SERVICES) sh -c '$(PYTHON_RUN) manage.py migrate --verbosity 0 && \
		$(PYTHON_RUN) manage.py demo $(if $(HEADLESS),--headless) $(if $(DATA),--data "$(DATA)") $(if $(HEADLESS),,&& \
		exec $(PYTHON_RUN) manage.py serve)'

test: setup
	@deploy/chromium.sh
	@$(WITH_SERVICES) $(VENV)/pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

bench: setup
	@$(WITH_SERVICES) $(PYTHON_RUN) -m tests.benches $(ONLY)

campaign: setup
	@$(WITH_SERVICES) $(PYTHON_RUN) -m tests.campaigns $(ONLY)

CHECKS := check-format check-lint check-imports check-types check-templates check-migrations check-documents

check: setup
	@$(MAKE) --no-print-directory --keep-going $(CHECKS)
	@echo "make check: all of $(words $(CHECKS)) hold"

check-format:
	@$(VENV)/ruff format --quiet --diff $(OURS)
check-lint:
	@$(VENV)/ruff check --quiet $(OURS)
check-imports:
	@$(VENV)/lint-imports --no-cache --no-logo
check-types:
	@$(VENV)/mypy
check-templates:
	@$(VENV)/djlint --quiet --lint templates
check-migrations:
	@$(WITH_SERVICES) $(PYTHON_RUN) manage.py makemigrations --check --dry-run
check-documents:
	@$(PYTHON_RUN) manage.py reference_docs --check

format: setup
	@$(VENV)/ruff format $(OURS)
	@$(VENV)/ruff check --fix $(OURS)

stop: setup
	@$(PYTHON_RUN) -m config.embedded stop
