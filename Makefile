# make demo   the main job, end to end: checkpoint -> bundle -> recording -> expressions
# make test   every test        make lint   every check        make clean   remove what these made
# make demo-paper   a network of the paper's size        make checkpoint   train the demo's network again
# make sanitize   the tests of the C++ code, watched for wrong addresses, undefined behaviour and races
# make test-arm64   the tests of what runs on a device, as on 64-bit Arm, under emulation
# make docs   the site of docs/, into build/site; dead links and missing names fail
# make wheels   wheels for x86-64 and 64-bit Arm, each installed and run; an sdist
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WHEEL_PYTHONS ?= cp310 cp311 cp312 cp313
CUDA_COMPILER := nvidia-cuda-nvcc nvidia-cuda-cccl nvidia-cuda-cuobjdump
NATIVE := CMakeLists.txt $(shell find csrc -type f)

.PHONY: install demo demo-paper checkpoint test sanitize test-arm64 wheels lint format docs clean

# torch is asked for by exact version, first, so that a CPU build present on the machine is taken.
$(VENV)/base: constraints.txt
	@echo "set-up, 1: a virtual environment in $(VENV), with PyTorch"
	$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt scikit-build-core pybind11 cmake ninja numpy
	@$(BIN)/python -m pip install --quiet torch==2.13.0
	@touch $@

# nvcc comes along, so that the CUDA kernels are built; CUDACXX=/path/to/nvcc takes another.
$(VENV)/installed: $(VENV)/base pyproject.toml $(NATIVE)
	@echo "set-up, 2: canthus's kernels, for this machine and for GPUs, and what its tests use; two minutes or more"
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt \
	  $(patsubst %,'%; sys_platform == "linux"',$(CUDA_COMPILER))
	@CUDACXX="$${CUDACXX-$$(echo $(CURDIR)/$(VENV)/lib/python3*/site-packages/nvidia/cu13/bin/nvcc)}" \
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-build-isolation \
	  --editable '.[cpu,openvino,tensorrt-rtx,camera,see,export,train,test]'
	@touch $@

install: $(VENV)/installed

# As much as the demo uses: no kernels for GPUs, no TensorRT.
$(VENV)/demo: $(VENV)/base pyproject.toml $(NATIVE)
	@echo "set-up, 2: canthus's kernels, and what the demo uses; a minute or more"
	@CUDACXX=none $(BIN)/python -m pip install --quiet --constraint constraints.txt --no-build-isolation \
	  --editable '.[cpu,camera,see,export]'
	@touch $@

FOR_DEMO := $(if $(wildcard $(VENV)/installed),$(VENV)/installed,$(VENV)/demo)

# The checkpoint is the small network, trained on synthetic volunteers of whom the recording shows none.
demo: $(FOR_DEMO)
	mkdir -p demo
	$(BIN)/canthus export examples/small.pth -o demo/eye.canthus
	$(BIN)/canthus inspect demo/eye.canthus
	$(BIN)/canthus verify demo/eye.canthus
	$(BIN)/canthus synthesize demo/eye.aedat4 --seconds 20 --preview demo/eye.png
	$(BIN)/canthus run demo/eye.canthus demo/eye.aedat4 --changes
	@echo "Compare with what the recording shows, above. demo/eye.png has pictures of it. To watch it on a page:"
	@echo "  $(BIN)/canthus monitor demo/eye.canthus demo/eye.aedat4"

# The weights are random: there is no public trained checkpoint. Sizes, parity and times are real.
demo-paper: $(FOR_DEMO)
	mkdir -p demo
	$(BIN)/python tests/data/weights.py demo/untrained.pth
	$(BIN)/canthus export demo/untrained.pth --annotation examples/emotion.json -o demo/untrained.canthus
	$(BIN)/canthus verify demo/untrained.canthus

# Makes examples/small.pth again, in some two hours on two cores: by one thread, so that sums round as they did.
checkpoint: install
	mkdir -p demo
	$(BIN)/canthus synthesize demo/SEE --like see --volunteers 96
	OMP_NUM_THREADS=1 $(BIN)/canthus train demo/SEE -o demo/small --preset small --validation 12
	cp demo/small/best.pth examples/small.pth
	$(BIN)/canthus evaluate examples/small.pth demo/SEE

# An emulator shows how processors answer that this one is not; where it can't be had, its tests say so.
# A worker that crashes ends the run: pytest-xdist may wait for ever for the one in its place (pytest-xdist#784).
# Other makers' runtimes and long trainings have processes of their own: what one spoils, no other test meets.
TESTS := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not alone" -n 2 --dist loadfile --max-worker-restart 0 --durations 15
RUNTIMES := $(wildcard tests/test_openvino.py tests/test_backends.py tests/test_int8_everywhere.py tests/test_tensorrt_*.py)
TRAINING := $(wildcard tests/test_train*.py tests/test_synthesize*.py tests/test_demo_checkpoint.py)
test: install
	-bash tests/emulation/qemu.sh
	$(TESTS) $(addprefix --ignore=,$(RUNTIMES) $(TRAINING))
	$(TESTS) $(RUNTIMES)
	$(TESTS) $(TRAINING)
	$(BIN)/python -m pytest -m alone

sanitize: install
	bash tests/sanitize.sh

test-arm64: install
	bash tests/arm64.sh

# CUDACXX=none leaves the CUDA kernels out, which take minutes.
wheels: install
	bash packaging/wheels.sh dist $(WHEEL_PYTHONS)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	find csrc -type f -print0 | xargs -0 $(BIN)/clang-format --dry-run --Werror

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	find csrc -type f -print0 | xargs -0 $(BIN)/clang-format -i

$(VENV)/docs: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt mkdocs-material mkdocstrings-python
	touch $@

docs: $(VENV)/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "build/site/index.html"

clean:
	rm -rf $(VENV) build demo dist
