# Two commands matter: `make demo` and `make test`. Each makes its own environment in .venv first; Python 3.11 or newer
# with pip is all that must be there. Another interpreter: `make test PYTHON=python3.13`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PACKAGES := packages/ruo2-voxel packages/ruo2-wgan packages/ruo2-hopping
TOOLS := ruff mypy import-linter pytest pytest-xdist hypothesis
WORKERS := -n logical --dist loadscope # of pytest: as many as there are cores, each with whole modules
DEMO := demo-output
DEMO_STEPS := 600
BENCHMARKS := kernel build reading scaling preparation decode decode_accuracy train_step label_consistency verdict hopping

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The stamp records what the environment was made for: an interpreter and a folder, for virtual environments do not move.
# Where that differs from what is wanted now, the stamp is out of date whatever its age.
WANTED := $(shell $(PYTHON) -c 'import os, sys; print("%d.%d %s" % (sys.version_info[0], sys.version_info[1], os.getcwd()))' 2>/dev/null)
ifneq ($(WANTED),$(shell cat $(STAMP) 2>/dev/null))
.PHONY: $(STAMP)
endif

$(STAMP): constraints.txt $(PACKAGES:%=%/pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "make: Python 3.11 or newer must be there as $(PYTHON); found: $$($(PYTHON) --version 2>&1 | tail -n 1)." >&2; \
	  echo "Name another one, say: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@if [ -e $(STAMP) ] && [ "$$(cat $(STAMP))" != "$(WANTED)" ]; then \
	  echo "$(VENV) was made for Python $$(cat $(STAMP)); making it anew for $(WANTED)"; rm -rf $(VENV); \
	elif [ -e $(VENV) ] && ! $(BIN)/python -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] != "$(firstword $(WANTED))")'; then \
	  echo "$(VENV) holds no Python $(firstword $(WANTED)); making it anew"; rm -rf $(VENV); \
	fi
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "make: $(PYTHON) cannot make virtual environments. On Debian and Ubuntu, install the package python3-venv." >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
	  -e 'packages/ruo2-voxel[pictures,distributed,xarray]' -e packages/ruo2-wgan \
	  -e 'packages/ruo2-hopping[pictures]' $(TOOLS)
	@echo "$(WANTED)" > $(STAMP)

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-8s %s\n", $$1, $$2 }'

.PHONY: demo
demo: $(STAMP) ## Search, build stores from real structures, train on one, judge the samples (into demo-output/)
	mkdir -p $(DEMO)
	@echo "--- Ten seconds of basin hopping with the built-in toy potential"
	rm -f $(DEMO)/hopping.traj
	$(BIN)/ruo2-hopping run --surface 110 --mu-o -0.5 --mu-o 0 --steps 12 --oxygen-energy -1.5 --out $(DEMO)/hopping.traj
	$(BIN)/ruo2-hopping summary $(DEMO)/hopping.traj --out $(DEMO)/hopping.png
	@echo "--- The shipped trajectory, as its manifest says"
	$(BIN)/ruo2-voxel build --manifest data_manifests/ruo2-bh-mini.toml --out $(DEMO)/ruo2-bh-mini.zarr --overwrite
	$(BIN)/ruo2-voxel info $(DEMO)/ruo2-bh-mini.zarr
	$(BIN)/ruo2-voxel verify $(DEMO)/ruo2-bh-mini.zarr
	$(BIN)/ruo2-voxel decode $(DEMO)/ruo2-bh-mini.zarr --out $(DEMO)/decoded.traj --overwrite
	$(BIN)/ruo2-voxel show $(DEMO)/ruo2-bh-mini.zarr --out $(DEMO)/ruo2-bh-mini.png
	$(BIN)/ruo2-voxel show $(DEMO)/ruo2-bh-mini.zarr --out $(DEMO)/classes.png --picture classes
	@echo "--- Slabs of all low-index facets, prepared as the thesis prepared its GAP set"
	$(BIN)/ruo2-voxel surfaces --out $(DEMO)/slabs.traj --copies 4 --rattle 0.1 --overwrite
	$(BIN)/ruo2-voxel build --db $(DEMO)/slabs.traj --out $(DEMO)/slabs.zarr --grid 32,32,48 --sigma 0.4 --label none \
	  --orthogonal --square --min-length 10 --vacuum 12 --screen report --copies 4 --translate --rotate --overwrite
	$(BIN)/ruo2-voxel slice $(DEMO)/slabs.zarr --out $(DEMO)/slabs-slices.zarr --overwrite
	$(BIN)/ruo2-voxel show $(DEMO)/slabs.zarr --out $(DEMO)/preparation.png --picture preparation --index 208
	$(BIN)/ruo2-voxel show $(DEMO)/slabs.zarr --out $(DEMO)/slices.png --picture slices --index 208
	$(BIN)/ruo2-voxel show $(DEMO)/slabs.zarr --out $(DEMO)/space.png --picture space --index 208
	@echo "--- Training on slices of the shipped trajectory, for about a minute on two cores, two if they are slow"
	rm -rf $(DEMO)/run
	$(BIN)/ruo2-wgan train --data $(DEMO)/ruo2-bh-mini.zarr --run $(DEMO)/run \
	  --config packages/ruo2-wgan/examples/two-cores.toml --max-steps $(DEMO_STEPS)
	$(BIN)/ruo2-wgan generate $(DEMO)/run --count 256 --out $(DEMO)/fake.zarr --sheet $(DEMO)/samples.png --overwrite
	$(BIN)/ruo2-voxel info $(DEMO)/fake.zarr
	@echo "--- The verdict on its samples, beside held-out structures and atoms at random"
	$(BIN)/ruo2-wgan evaluate $(DEMO)/run --count 400 > $(DEMO)/verdict.txt
	$(BIN)/ruo2-wgan report $(DEMO)/run --out $(DEMO)/report.html --overwrite
	@echo "The stores are $(DEMO)/*.zarr; the pictures:"
	@ls $(DEMO)/*.png $(DEMO)/run/*.png
	@echo "To look at in a browser: $(DEMO)/report.html"

# The second run executes the kernels as plain Python: what holds only when compiled, or only uncompiled, is a bug.
.PHONY: test
test: $(STAMP) ## Run every test
	$(BIN)/python -m pytest $(WORKERS)
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest $(WORKERS) -m "nojit and not slow" tests/voxel

.PHONY: lint
lint: $(STAMP) ## Check style, format, types, and which module may import which
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: format
format: $(STAMP) ## Rewrite the sources in the house format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: bench
bench: $(STAMP) ## Time everything beside what else one could use (into benchmarks/results/)
	for name in $(BENCHMARKS); do $(BIN)/python benchmarks/$$name.py --out benchmarks/results/$$name.json || exit 1; done

.PHONY: clean
clean: ## Remove .venv, demo-output and every cache
	rm -rf $(VENV) $(DEMO) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .benchmarks
	find packages tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
