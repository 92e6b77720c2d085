# `make demo` and `make test` need Python 3.11 or newer and nothing else: they make .venv and install into it.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: help demo experiments-smoke test lint bench clean

help:
	@echo "make demo   predict on a brain template; make phantoms, train a small model and predict with it (writes demo/)"
	@echo "make experiments-smoke   every experiment of the paper, small, on phantoms (writes data/, results/smoke/)"
	@echo "make test   lint and run all tests"
	@echo "make lint   ruff only"
	@echo "make bench  time and memory beside PyTorch, on a quiet machine (writes benchmarks/results/)"
	@echo "make clean  remove .venv and demo"

demo: $(VENV)/installed
	$(BIN)/neuralizer demo

experiments-smoke: $(VENV)/installed
	$(BIN)/neuralizer experiment --config experiments/paper.py:scale=smoke --out results/smoke

test: lint
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch
	for script in predict_cpu context_memory start_up train_step episodes; do $(BIN)/python benchmarks/$$script.py || exit; done

$(VENV)/installed: pyproject.toml requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, $(PYTHON) is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

clean:
	rm -rf $(VENV) demo
