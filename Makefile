# make run, make test: see README.md.

PORT ?= 8266
FLASH ?= build/flash
export MICROPY_DIR

BOARD = build/board/micropython
BOARD32 = build/board32/micropython
BOARD_WITHOUT = build/board-without-webrepl/micropython
SOURCES = webrepl.py webrepl_setup.py manifest.py $(wildcard _webrepl_shim/*.py _webrepl_shim/unix/*) \
	_webrepl_shim/build.sh build/micropy_dir
VENV = build/venv
BIN = $(VENV)/bin
CLIENTS = build/venv-clients
STUBS = build/stubs/esp32/.done build/stubs/esp8266/.done

# Start the virtual board, with this terminal as its serial console.
run: $(BOARD)
	@sh _webrepl_shim/run.sh "$(FLASH)" "$(PORT)" '$(subst ','\'',$(PASSWORD))'

# Build the virtual board; MICROPY_DIR=folder builds it from that MicroPython.
firmware: $(BOARD)

# One whose firmware lacks the C module _webrepl, for the one in Python.
firmware-without-webrepl: $(BOARD_WITHOUT)

test: $(BOARD) $(BOARD32) $(BOARD_WITHOUT) $(VENV)/.done $(CLIENTS)/.done build/stubs/esp32/.done
	$(BIN)/python -m pytest $(ARGS)

# Style, and names that no board has.
lint: $(VENV)/.done $(STUBS)
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy tests
	for port in esp32 esp8266; do \
		MYPYPATH=build/stubs/$$port $(BIN)/mypy --config-file _webrepl_shim/mypy.ini \
			--custom-typeshed-dir build/stubs/$$port webrepl.py webrepl_setup.py \
			_webrepl_shim/_webrepl.py || exit 1; \
	done

# How fast it is: make bench [PEER=path/to/another/webrepl.py] [REPEAT=n]. Writes build/bench.json.
bench: $(BOARD) $(VENV)/.done
	@$(BIN)/python tests/bench.py $(if $(PEER),--peer "$(PEER)") $(if $(REPEAT),--repeat $(REPEAT))

# Draw tests/bench.svg from build/bench.json.
bench-plot: build/venv-plot/.done
	@build/venv-plot/bin/python tests/bench_plot.py

# What it takes of flash and heap: make size [PEER=path/to/another/webrepl.py].
size: $(BOARD) $(BOARD32) $(VENV)/.done
	@$(BIN)/python tests/size.py $(if $(PEER),--peer "$(PEER)")

clean:
	rm -rf build

$(BOARD): $(SOURCES)
	@echo "Building the virtual board ..."
	@sh _webrepl_shim/build.sh board

$(BOARD_WITHOUT): $(SOURCES)
	@echo "Building the virtual board without _webrepl ..."
	@sh _webrepl_shim/build.sh board-without-webrepl MICROPY_PY_WEBREPL=0

# The same for words of 32 bits, as chips have, where gcc can build that; else the tests of sizes do without.
$(BOARD32): $(SOURCES)
	@if echo 'int main(void) { return 0; }' | gcc -m32 -xc - -o /dev/null 2>/dev/null || \
		sh _webrepl_shim/install.sh gcc-multilib; then \
		echo "Building the 32-bit virtual board ..."; sh _webrepl_shim/build.sh board32 MICROPY_FORCE_32BIT=1; \
	fi

# Newer than the board when MICROPY_DIR has changed.
build/micropy_dir: FORCE
	@mkdir -p build
	@echo "$(MICROPY_DIR)" | cmp -s - $@ || echo "$(MICROPY_DIR)" >$@

$(VENV)/.done: tests/requirements.txt
	@python3 -c 'import ensurepip, venv' 2>/dev/null || sh _webrepl_shim/install.sh python3 python3-venv
	python3 -m venv --clear $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check -r tests/requirements.txt
	@touch $@

build/venv-plot/.done: tests/requirements-plot.txt
	@python3 -c 'import ensurepip, venv' 2>/dev/null || sh _webrepl_shim/install.sh python3 python3-venv
	python3 -m venv --clear build/venv-plot
	build/venv-plot/bin/pip install -q --disable-pip-version-check -r tests/requirements-plot.txt
	@touch $@

# What they need is pinned too, and may not suit the tests.
$(CLIENTS)/.done: tests/requirements-clients.txt $(VENV)/.done
	python3 -m venv --clear $(CLIENTS)
	$(CLIENTS)/bin/pip install -q --disable-pip-version-check --no-deps --no-compile -r tests/requirements-clients.txt
	@touch $@

build/stubs/%/.done: tests/requirements-stubs.txt $(VENV)/.done
	grep '^micropython-$*-stubs' tests/requirements-stubs.txt | \
		$(BIN)/pip install -q --disable-pip-version-check --upgrade --target $(@D) -r /dev/stdin
	@touch $@

FORCE:
.PHONY: run firmware firmware-without-webrepl test lint bench bench-plot size clean FORCE
