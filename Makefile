# Everything runs in .venv, which is made when it is first needed or when pyproject.toml changes.

PYTHON ?= python3
BIN = .venv/bin

.PHONY: demo test lint bench corpus-report corpus-networks translations reference picture clean

demo: .venv/demo
	$(BIN)/convnet-train digits --save-path runs

test: lint
	$(BIN)/python -m pytest -m "slow or not slow"

lint: .venv/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: .venv/bench
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.optimizers

corpus-report: .venv/dev
	$(BIN)/python -m benchmarks.corpus

corpus-networks: .venv/dev
	$(BIN)/python -m benchmarks.corpus_networks

translations: .venv/dev
	$(BIN)/python -m benchmarks.translations

reference: .venv/dev
	$(BIN)/python -m benchmarks.reference

picture: .venv/docs
	$(BIN)/python docs/examples/weight_decay_trajectories.py

.venv/bin/python:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip

.venv/%: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable ".[$*]"
	touch $@

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache
