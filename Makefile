# make demo: a small table of DIRNet beside elastix, with pictures, in demo/
# make test: the tests
# Both make .venv and install what they need; python3 (3.10 to 3.13) and make must be there.

PYTHON ?= python3
BIN := .venv/bin
# In parts: what was compiled stays in the memory of a process, and all of it would fill it.
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal -m "not timed"

.PHONY: demo test lint tables clean

demo: .venv/.demo
	$(BIN)/python -m benchmarks run dirnet-mnist --pairs 3 --out demo

test: .venv/.dev
	$(PYTEST) tests/benchmarks tests/features tests/registration
	$(PYTEST) --ignore tests/benchmarks --ignore tests/features --ignore tests/registration \
		--ignore tests/zoo
	$(PYTEST) tests/zoo
	$(BIN)/python -m pytest -m timed

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright --pythonpath $(BIN)/python

# Without ANTs, which takes five minutes for a pair, and some settings of elastix.
ON_PHANTOMS := "none,elastix 10 mm x500,elastix 10 mm x2000,greedy,dlir affine,dlir + stage 1,$\
dlir + stage 2,dlir + stage 3,dlir + refine,dlir + refine fast,dlir + refine NCC,tfreg default,$\
tfreg default LNCC,tfreg default LNCC confined"

# Weights trained on slices of OASIS are not in the zoo: make them as zoo/quicksilver/README.md says,
# then PRESETS="--presets runs/quicksilver-oasis2d". Without, the rows that need them are left out.
PRESETS ?=

# So are the variants of PEHL, as zoo/pehl/README.md says: RUNS="--presets runs".
RUNS ?=

# The committed results, on real images: some hours on an idle machine.
tables: .venv/.dev
	$(BIN)/python -m pip install --quiet --editable ".[torch,greedy,ants,drr,convexadam,syntx]"
	$(BIN)/python -m benchmarks run resampling
	$(BIN)/python -m benchmarks run optimise-cine
	$(BIN)/python -m benchmarks run optimise-chest-ct
	$(BIN)/python -m benchmarks run optimise-brain
	$(BIN)/python -m benchmarks run optimise-digits --pairs 5
	$(BIN)/python -m benchmarks run optimise-growth
	$(BIN)/python -m benchmarks run engine-choices
	$(BIN)/python -m benchmarks run breathing
	$(BIN)/python -m benchmarks run multimodal
	$(BIN)/python -m benchmarks run wide-capture
	$(BIN)/python -m benchmarks run wide-capture --pairs 2 \
		--out benchmarks/results/wide-capture-few
	$(BIN)/python -m benchmarks run dirnet-cine
	$(BIN)/python -m benchmarks run dirnet-cine --pairs 100 --split train \
		--methods "none,elastix 2x100,dirnet bl,dirnet plus" --out benchmarks/results/dirnet-cine-train
	$(BIN)/python -m benchmarks run dirnet-cine-choices
	$(BIN)/python -m benchmarks run dirnet-mnist
	$(BIN)/python -m benchmarks run dirnet-mnist --pairs 500 --methods "none,dirnet,dirnet + refine" \
		--out benchmarks/results/dirnet-mnist-500
	$(BIN)/python -m benchmarks run dlir-cine
	$(BIN)/python -m benchmarks run dlir-hippocampus
	$(BIN)/python -m benchmarks run dlir-chest-ct
	$(BIN)/python -m benchmarks run dlir-chest-ct --data phantom --pairs 3 --methods $(ON_PHANTOMS) \
		--out benchmarks/results/dlir-chest-ct-phantom
	$(BIN)/python -m benchmarks run dlir-cost
	$(BIN)/python -m benchmarks run stn-mnist
	$(BIN)/python -m benchmarks run stn-mnist-clutter
	$(BIN)/python -m benchmarks run stn-mnist-addition
	$(BIN)/python -m benchmarks run lddmm-cost
	$(BIN)/python -m benchmarks run lddmm-oasis2d $(PRESETS)
	$(BIN)/python -m benchmarks run quicksilver-hippocampus
	$(BIN)/python -m benchmarks run ssem-choices
	$(BIN)/python -m benchmarks run ssem-pairs
	$(BIN)/python -m benchmarks run ssem-stack
	$(BIN)/python -m benchmarks run projection
	$(BIN)/python -m benchmarks run pehl $(RUNS)
	$(BIN)/python -m benchmarks run craniofacial
	$(BIN)/python -m benchmarks run wrist
	$(BIN)/python -m benchmarks run fusion-brain
	$(BIN)/python -m benchmarks run fusion-misaligned
	$(BIN)/python -m benchmarks run fusion-misaligned --split validation \
		--out benchmarks/results/fusion-misaligned-mi
	$(BIN)/python -m benchmarks run fusion-misaligned --split validation --similarity ngf \
		--out benchmarks/results/fusion-misaligned-ngf
	$(BIN)/python -m benchmarks run command-line
	$(BIN)/python -m benchmarks readme

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.demo: pyproject.toml setup.py | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable ".[bench]"
	touch $@

.venv/.dev: pyproject.toml setup.py | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@

clean:
	rm -rf .venv demo build *.egg-info
