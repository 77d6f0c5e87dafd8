# Everything happens in .venv; a stamp there says what is installed.
PYTHON ?= python3
BIN := .venv/bin
EXAMPLE := examples/toy
OUT := demo
# Compiling every module of every library takes longer than installing them; Python compiles those
# that are used when it first uses them.
INSTALL := -m pip install --no-compile -c constraints.txt

.PHONY: demo test test-quantised statistics statistics-toybox torture lint types build clean

demo: .venv/.installed
	noun=$$($(BIN)/python -c "import json; print(json.load(open('$(EXAMPLE)/toy.json'))['class_noun'])") && \
	$(BIN)/pseudoword study $(EXAMPLE) --class-noun "$$noun" --seeds 2 --effort quick --out $(OUT)
	@echo "The report is $(CURDIR)/$(OUT)/report.html"

test: .venv/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n auto

# What needs torchao and bitsandbytes; every process that finds them starts a second later.
test-quantised: .venv/.installed-dev
	$(BIN)/python $(INSTALL) -q -e '.[dev,quantised]'
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n auto tests/test_compute.py tests/test_compute_packed.py -k "int8 or nf4 or 8bit"

# Simulated studies with known truth: some minutes; the last line is JSON, the rest docs/statistics.md.
statistics: .venv/.installed-dev
	@OMP_NUM_THREADS=1 $(BIN)/python experiments/statistics

# Real trainings of spoilt and of equal methods: an hour or two; the same command goes on.
statistics-toybox: .venv/.installed-dev
	$(BIN)/python experiments/statistics/trained.py statistics

# Kills, full disks, damaged and spoilt files: about half an hour; the last line is JSON.
torture: .venv/.installed-dev
	@OMP_NUM_THREADS=1 $(BIN)/python experiments/torture/torture.py

lint: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.installed-dev
	$(BIN)/mypy

build: .venv/.installed-dev
	$(BIN)/python -m build --outdir dist .

clean:
	rm -rf .venv build dist $(OUT) .pytest_cache .ruff_cache .mypy_cache

$(BIN)/python:
	$(PYTHON) -m venv .venv

.venv/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python $(INSTALL) -e .
	touch $@

.venv/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python $(INSTALL) -e '.[dev]'
	touch .venv/.installed $@
