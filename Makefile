# `make demo` and `make test` need Python 3.11 or newer and nothing else: they make .venv and install into it.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# For the short selection of tests: a python3.12 that runs, or the first one that pyenv has installed.
PYTHON312 ?= $(or $(shell python3.12 -c "print('python3.12')" 2>/dev/null),$(firstword $(wildcard $(HOME)/.pyenv/versions/3.12*/bin/python3.12)))
SHORT = tests/test_layout.py tests/model tests/inference tests/files

.PHONY: help demo experiments-smoke test test-optimized test-312 fuzz lint types docs tables bench gpu-train wheel clean

help:
	@echo "make demo               strip and segment a made-up head without examples of your own (writes demo/)"
	@echo "make test               check the style and run all tests"
	@echo "make test-optimized     run the numerical tests again, compiled with the optimisations that users have"
	@echo "make test-312           run a short selection of tests on Python 3.12, if it is installed"
	@echo "make fuzz               thousands of made-up files, good and damaged (writes benchmarks/results/fuzz.md)"
	@echo "make lint               check the style only (ruff)"
	@echo "make types              check the types (mypy)"
	@echo "make wheel              build the wheel, check what it holds, install it elsewhere and predict (writes dist/)"
	@echo "make docs               build the documentation (docs/_build/html/index.html)"
	@echo "make tables             write the results of the benchmarks into README and documentation"
	@echo "make bench              measure time and memory beside PyTorch, on a quiet machine (writes benchmarks/results/)"
	@echo "make gpu-train          pack a training for a machine with a GPU (writes build/gpu/); train, if this one has one"
	@echo "make experiments-smoke  run every experiment of the paper, small, on phantoms (writes data/, results/smoke/)"
	@echo "make clean              remove what was installed and built"

demo: $(VENV)/installed
	$(BIN)/neuralizer demo

experiments-smoke: $(VENV)/installed
	$(BIN)/neuralizer experiment --config experiments/paper.py:scale=smoke --out results/smoke

test: lint
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

test-optimized: $(VENV)/installed
	$(BIN)/python -m pytest --optimized --numprocesses auto tests/model tests/weights tests/inference

test-312:
ifeq ($(PYTHON312),)
	@echo "test-312: no python3.12 is installed, skipped"
else
	$(PYTHON312) -m venv .venv312
	.venv312/bin/python -m pip install --quiet --disable-pip-version-check '.[test]'
	.venv312/bin/python -m pytest --numprocesses auto --dist loadfile $(SHORT)
endif

fuzz: $(VENV)/installed
	$(BIN)/python benchmarks/fuzz_files.py --cases 5000 --seconds 900 --write

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed-types
	$(BIN)/mypy

wheel: $(VENV)/installed
	$(BIN)/python .ci/wheel.py

docs: $(VENV)/installed-docs
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/sphinx-build -W --keep-going -q docs docs/_build/html
	@echo "docs/_build/html/index.html"

tables: $(VENV)/installed
	$(BIN)/python benchmarks/write_tables.py

bench: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch
	for script in predict_cpu context_memory start_up train_step episodes; do $(BIN)/python benchmarks/$$script.py || exit; done

# Folder of the experiment, volumes, options of pack.py and of run.py.
GPU_OUT ?= results/pretrained
GPU_DATA ?= data/labelmaps-volumes
PACK ?= --stage slices
RUN ?= --minutes 9
gpu-train: $(VENV)/installed
	$(BIN)/python benchmarks/gpu_train/pack.py --out $(GPU_OUT) --data $(GPU_DATA) $(PACK)
	@! command -v nvidia-smi >/dev/null || { $(BIN)/python build/gpu/run.py $(RUN) --out build/gpu-results && \
		$(BIN)/python benchmarks/gpu_train/take_back.py build/gpu-results --out $(GPU_OUT) --data $(GPU_DATA); }

$(VENV)/installed: pyproject.toml requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, $(PYTHON) is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

$(VENV)/installed-%: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@

clean:
	rm -rf $(VENV) .venv312 demo docs/_build
