# The commands: make demo, make test, make lab, make bench, make soak, make lint, make clean.
#
# Everything is installed into .venv. A stamp in it records each finished step, so a second run
# goes straight to the work.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
  $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null \
  && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps
NOTEBOOKS := $(wildcard notebooks/*.ipynb)
NATIVE := $(shell find gpures_lab/_core -name '*.cpp' -o -name '*.hpp' -o -name '*.cu' \
  -o -name CMakeLists.txt)
EXTENSION := $(shell find extension/src extension/style extension/schema -type f) \
  $(wildcard extension/*.json extension/yarn.lock)
# Empty where Node is missing: then everything is built and tested but the extension.
NODE := $(and $(shell command -v node),$(shell command -v npm))
LABEXTENSION := $(STAMPS)/extension-$(if $(NODE),built,without)
BROWSER := $(firstword $(foreach name,chromium chromium-browser google-chrome,\
  $(shell command -v $(name))))

export CMAKE_BUILD_PARALLEL_LEVEL ?= 2
export PIP_DISABLE_PIP_VERSION_CHECK = 1
# The build tools that pip put into .venv go first.
export PATH := $(CURDIR)/$(BIN):$(PATH)

# cuda13 for an NVIDIA driver from 580 on, cuda12 for an older one, nothing without one.
CUDA := $(shell nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null \
  | sed -n '1s/^\([0-9][0-9]*\)\..*/\1/p' | { read -r v && \
  if [ "$$v" -ge 580 ]; then echo cuda13; else echo cuda12; fi; })
DEMO_EXTRAS := $(strip jupyter tutorials $(CUDA))
# Without a GPU the CUDA compilers are still installed: kernels are compiled for one and read.
TEST_EXTRAS := $(strip jupyter tutorials test cpp $(or $(CUDA),compile))

.PHONY: gpu-check demo test lab bench soak lint clean native-tests pytest notebooks typescript browser
.NOTPARALLEL: # groups one after the other: two cores, and a readable report
.DELETE_ON_ERROR:

demo: $(STAMPS)/demo-$(or $(CUDA),host) $(STAMPS)/native
	@$(BIN)/gpures-lab demo

lab: $(STAMPS)/demo-$(or $(CUDA),host) $(STAMPS)/native
	$(BIN)/jupyter lab $$(test "$$(id -u)" != 0 || echo --allow-root) \
	  notebooks/01_quickstart.ipynb

test: lint native-tests pytest notebooks typescript browser
	@echo "make test: all groups that could run passed"
	@$(if $(NODE),,echo "not run: typescript, for want of Node: apt-get install nodejs npm")
	@$(if $(BROWSER),,echo "not run: browser, for want of Chromium: apt-get install chromium")

lint: $(STAMPS)/lint $(STAMPS)/test-$(or $(CUDA),host)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The engine without Python: as it ships, then under the sanitizers.
native-tests: $(STAMPS)/test-$(or $(CUDA),host)
	@$(call native_tests,plain,)
	@$(call native_tests,address,address$(comma)undefined)
	@$(call native_tests,thread,thread)

pytest: $(STAMPS)/test-$(or $(CUDA),host) $(STAMPS)/native
	$(BIN)/python -m pytest --ignore=tests/browser \
	  --numprocesses auto --maxprocesses 4 --dist loadscope --no-loadscope-reorder

# Types, format and the tests that need no browser.
typescript: $(STAMPS)/test-$(or $(CUDA),host) $(LABEXTENSION)
	$(if $(NODE),cd extension && jlpm lint && jlpm test,$(call without_node,typescript))

# JupyterLab, a kernel and Chromium.
browser: $(STAMPS)/test-$(or $(CUDA),host) $(STAMPS)/native
	$(BIN)/python -m pytest tests/browser

notebooks: $(STAMPS)/test-$(or $(CUDA),host) $(STAMPS)/native
	GPURES_STATE_DIR=$(CURDIR)/build/notebooks \
	  $(BIN)/python -m pytest --nbval --nbval-current-env --nbval-cell-timeout=60 \
	  --nbval-sanitize-with tests/nbval_sanitize.cfg $(NOTEBOOKS)

# Every figure of the README, with floors and rivals; BENCH="--json" or names of suites.
bench: $(STAMPS)/test-$(or $(CUDA),host) $(STAMPS)/native
	$(BIN)/gpures-lab bench $(BENCH)

# The long form of tests/soak, bounded in time; the report goes to tests/soak_reports.
soak: native-tests $(STAMPS)/native
	$(BIN)/python -m tests.soak $(SOAK)

# On a machine with an NVIDIA GPU; needs no network, Node or Jupyter. PYTHON= names the interpreter
# that has the packages; GPU_CHECK="--out DIR" writes the report elsewhere.
gpu-check:
	@$(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON)) -m tests.gpu.check $(GPU_CHECK)

clean:
	rm -rf extension/node_modules extension/labextension extension/lib extension/build
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find gpures_lab tests -name __pycache__ -prune -exec rm -rf {} +
	rm -f gpures_lab/_core/_native.*.so

comma := ,
without_node = @echo "$(1): no Node; apt-get install nodejs npm" \
  && test -z "$(filter 1 true,$(GPURES_REQUIRE_NODE))"
# $(1) folder, $(2) sanitizers
native_tests = set -e; mkdir -p build; \
  echo "native tests: $(1)"; \
  cmake -S gpures_lab/_core -B build/native-tests/$(1) -G Ninja -DGPURES_MODULE=OFF \
    -DGPURES_NATIVE_TESTS=ON -DGPURES_SANITIZE=$(2) > build/native-tests-$(1).log \
    || { cat build/native-tests-$(1).log; exit 1; }; \
  cmake --build build/native-tests/$(1) > build/native-tests-$(1).log \
    || { cat build/native-tests-$(1).log; exit 1; }; \
  ctest --test-dir build/native-tests/$(1) --output-on-failure --no-tests=error

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "make: Python 3.11, 3.12 or 3.13 is needed;" \
	  "name it with PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# Only what the project needs, not the project: that is built once, by the step `native`.
define requirements
import sys, tomllib
with open("pyproject.toml", "rb") as file:
    data = tomllib.load(file)
wanted = data["build-system"]["requires"] + ["cmake>=3.26", "ninja>=1.11"]
wanted += data["project"]["dependencies"]
for extra in sys.argv[1:]:
    group = data["dependency-groups"].get(extra)
    wanted += data["project"]["optional-dependencies"][extra] if group is None else group
print("\n".join(wanted))
endef
export requirements
install = @mkdir -p $(STAMPS) && \
  $(BIN)/python -c "$$requirements" $(1) > $(STAMPS)/requirements.txt && \
  echo "installing: $(1)" && \
  $(BIN)/python -m pip install --quiet -r $(STAMPS)/requirements.txt && touch $@

$(STAMPS)/demo-%: pyproject.toml | $(BIN)/python
	$(call install,$(DEMO_EXTRAS))

$(STAMPS)/test-%: pyproject.toml | $(BIN)/python
	$(call install,$(TEST_EXTRAS))

$(STAMPS)/lint: pyproject.toml | $(BIN)/python
	$(call install,lint)

# Whichever of the two came first has brought the build tools.
# The built extension is what the editable installation below links into share/jupyter.
$(LABEXTENSION): $(EXTENSION) extension/hatch_build.py | $(BIN)/python
ifneq ($(NODE),)
	@echo "building the JupyterLab extension"
	@mkdir -p $(STAMPS); if $(BIN)/python extension/hatch_build.py; then touch $@; \
	  else echo "going on without the JupyterLab extension; the next make tries again"; fi
else
	@echo "no Node: building without the JupyterLab extension (apt-get install nodejs npm)"
	@mkdir -p $(STAMPS) && touch $@
endif

$(STAMPS)/native: pyproject.toml $(NATIVE) $(LABEXTENSION) | $(BIN)/python
	@echo "building the native module"
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@
