# Two commands: `make demo` runs an agent program on a real engine, `make test` passes every test.
# Both set up whatever is missing. PYTHON=python3.12 chooses another Python.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo demo-ui test soak bench-swe check lint types layers format pictures clean help setup setup-dev

demo: setup  ## run the main job: an example program on the embedded engine
	@$(BIN)/agentrt run examples/report.py

demo-ui: setup  ## the same on the screens: its graph, its steps, the engine's KV cache
	@$(BIN)/agentrt run examples/report.py --ui

test: setup-dev lint types layers  ## pass all checks and all tests, the real engine included
	@$(BIN)/python -m pytest

soak: setup-dev  ## the long tests: crashes, faults and edits by the hundred; about half an hour
	@$(BIN)/python -m pytest -m soak --timeout 3600

bench-swe: setup  ## SWE-bench checks itself: every reference patch resolves, no empty one does; half an hour or more
	@$(BIN)/agentrt bench swebench --gold --at-once 2
	@$(BIN)/agentrt bench swebench --empty --at-once 2

check: setup-dev lint types layers  ## the checks alone

lint:
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types:
	@$(BIN)/mypy  # examples and wrong uses are judged in tests/typing

layers:
	@$(BIN)/lint-imports --no-cache

format: setup-dev  ## bring the code into shape
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

pictures: setup-dev  ## draw the screens into docs/pictures anew
	@$(BIN)/python scripts/pictures.py

setup:
	@$(PYTHON) scripts/setup.py

setup-dev:
	@$(PYTHON) scripts/setup.py dev

clean:  ## remove the environment of this checkout; the engine's stays in the user's cache
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache build dist

help:
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 10
