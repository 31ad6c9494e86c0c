PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test clean

demo: $(STAMP)  ## Render a scene, degrade it, fuse it; look into demo/.
	$(BIN)/drfuse demo -o demo

test: $(STAMP)  ## Lint, type check, run the tests.
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -q

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "drfuse needs Python 3.11 or newer; '$(PYTHON)' is not." >&2; \
		echo "Name another one: make $(or $(MAKECMDGOALS),demo) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { \
		echo "'$(PYTHON)' cannot make virtual environments;" \
			"on Debian or Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		-c constraints.txt -e ".[dev]"
	@touch $@

clean:
	rm -rf $(VENV) demo build dist .pytest_cache .mypy_cache .ruff_cache
	find drfuse_cli tests -name __pycache__ -type d -prune -exec rm -rf {} +
