# Every target sets up .venv by itself; `make help` lists them.
SYSTEM_PYTHON ?= $(shell command -v python3.11 || command -v python3)
PYTHON := .venv/bin/python
STAMP := .venv/.installed
# One thread for each test worker: torch would otherwise start as many as there are cores in every worker.
WORKERS ?= 2
PYTEST := OMP_NUM_THREADS=1 $(PYTHON) -m pytest -n $(WORKERS)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-all lint format editor bench-lock bench-editor bench-training bench-recipes bench-diffusion bench-attacks bench-objects bench-ownership bench-locked-claim bench-small-worlds bench-suggest bench-memory pictures samples clean

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-16s %s\n", $$1, $$2 }'

$(STAMP): pyproject.toml
	@test -x $(PYTHON) || $(SYSTEM_PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Spellward needs Python 3.11 or newer. Run: make SYSTEM_PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	test -x $(PYTHON) || $(SYSTEM_PYTHON) -m venv .venv
	$(PYTHON) -m pip install -e '.[dev]'
	touch $@

.venv/.installed-editor: $(STAMP)
	$(PYTHON) -m pip install -e '.[dev,editor]'
	touch $@

.venv/.installed-zoo: $(STAMP)
	$(PYTHON) -m pip install -e '.[dev,zoo]'
	touch $@

demo: $(STAMP) ## Both stories on the bundled sample, offline: lock and score, claim and verify
	.venv/bin/spellward demo

lint: $(STAMP) ## Style and types
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

format: $(STAMP) ## Mend what ruff can mend
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

test: lint ## Style, types and the quick tests
	$(PYTEST)

test-all: lint ## Style, types and all tests, the slow ones too
	$(PYTEST) -m ''

editor: .venv/.installed-editor ## Train the bundled editor anew (needs Debian's openclipart-png)
	$(PYTHON) -m spellward.editors.mini.training.train

bench-lock: $(STAMP) ## The locking figures of the README
	$(PYTHON) benchmarks/lock.py

bench-attacks: $(STAMP) ## What a thief gets out of the benchmark's locks (run bench-lock first)
	$(PYTHON) benchmarks/attacks.py

bench-suggest: $(STAMP) ## Forecasts of `suggest` against real locks
	$(PYTHON) benchmarks/suggest.py

bench-objects: $(STAMP) ## How well the object editor keeps off the foreground
	$(PYTHON) benchmarks/objects.py

bench-ownership: .venv/.installed-zoo ## A zoo of stolen and innocent models (needs Debian's dataset-fashion-mnist)
	$(PYTHON) benchmarks/ownership.py

bench-locked-claim: .venv/.installed-zoo ## A claim on a locked model, and its thieves (needs Debian's dataset-fashion-mnist)
	$(PYTHON) benchmarks/locked_claim.py

bench-small-worlds: $(STAMP) ## Accused innocents where references are worse than other models
	$(PYTHON) benchmarks/small_worlds.py

bench-memory: $(STAMP) ## Peak memory of a lock, by the number of images
	$(PYTHON) benchmarks/memory.py

bench-editor: .venv/.installed-editor ## Fidelity and speed of the bundled editor (needs Debian's openclipart-png)
	$(PYTHON) benchmarks/editor.py

bench-training: $(STAMP) ## Images a second of fit, beside a bare training loop
	$(PYTHON) benchmarks/training_speed.py

bench-recipes: $(STAMP) ## How long recipes train beside an ordinary fine-tune
	$(PYTHON) benchmarks/recipe_cost.py

bench-diffusion: $(STAMP) ## Images a second of a full-size diffusion editor, beside the plain loop
	$(PYTHON) benchmarks/diffusion_speed.py --compile

pictures: $(STAMP) ## The pictures in docs/ (run bench-lock first)
	$(PYTHON) benchmarks/pictures.py

samples: $(STAMP) ## Build the bundled samples anew from two Debian packages
	$(PYTHON) benchmarks/build_samples.py

clean: ## Remove what tools left behind; .venv and runs/ stay
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
