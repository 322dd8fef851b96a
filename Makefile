# make demo   the main job, end to end: checkpoint -> bundle -> recording -> expressions
# make test   every test        make lint   every check        make clean   remove what these made
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NATIVE := CMakeLists.txt $(shell find csrc -type f)

.PHONY: install demo test lint format clean

# torch is asked for by exact version, first, so that a CPU build present on the machine is taken.
$(VENV)/tools: constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt \
	  scikit-build-core pybind11 cmake ninja numpy
	$(BIN)/python -m pip install --quiet torch==2.13.0
	touch $@

$(VENV)/installed: $(VENV)/tools pyproject.toml $(NATIVE)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-build-isolation \
	  --editable '.[cpu,camera,see,export,train,test]'
	touch $@

install: $(VENV)/installed

# The checkpoint has the paper's size and untrained weights: there is no public trained one yet.
demo: install
	mkdir -p demo
	$(BIN)/python tests/data/weights.py demo/untrained.pth
	$(BIN)/canthus export demo/untrained.pth --annotation examples/emotion.json -o demo/eye.canthus
	$(BIN)/canthus inspect demo/eye.canthus
	$(BIN)/canthus verify demo/eye.canthus
	$(BIN)/canthus synthesize demo/eye.aedat4 --seconds 5 --preview demo/eye.png
	$(BIN)/canthus run demo/eye.canthus demo/eye.aedat4
	@echo "The weights are untrained, so the expressions mean nothing. Look at demo/eye.png to see what was run on."

test: install
	$(BIN)/python -m pytest

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	find csrc -type f -print0 | xargs -0 $(BIN)/clang-format --dry-run --Werror

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	find csrc -type f -print0 | xargs -0 $(BIN)/clang-format -i

clean:
	rm -rf $(VENV) build demo
