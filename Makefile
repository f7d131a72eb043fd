# make run, make test: see README.md.

PORT ?= 8266
FLASH ?= build/flash
export MICROPY_DIR

BOARD = build/board/micropython
SOURCES = webrepl.py webrepl_setup.py manifest.py $(wildcard _webrepl_shim/*.py _webrepl_shim/unix/*) \
	_webrepl_shim/build.sh build/micropy_dir
VENV = build/venv
BIN = $(VENV)/bin
STUBS = build/stubs/esp32/.done build/stubs/esp8266/.done

# Start the virtual board, with this terminal as its serial console.
run: $(BOARD)
	@sh _webrepl_shim/run.sh "$(FLASH)" "$(PORT)" '$(subst ','\'',$(PASSWORD))'

# Build the virtual board; MICROPY_DIR=folder builds it from that MicroPython.
firmware: $(BOARD)

test: $(BOARD) $(VENV)/.done
	$(BIN)/python -m pytest $(ARGS)

# Style, and names that no board has.
lint: $(VENV)/.done $(STUBS)
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy tests
	for port in esp32 esp8266; do \
		MYPYPATH=build/stubs/$$port $(BIN)/mypy --config-file _webrepl_shim/mypy.ini \
			--custom-typeshed-dir build/stubs/$$port webrepl.py webrepl_setup.py || exit 1; \
	done

clean:
	rm -rf build

$(BOARD): $(SOURCES)
	@echo "Building the virtual board ..."
	@sh _webrepl_shim/build.sh board

# Newer than the board when MICROPY_DIR has changed.
build/micropy_dir: FORCE
	@mkdir -p build
	@echo "$(MICROPY_DIR)" | cmp -s - $@ || echo "$(MICROPY_DIR)" >$@

$(VENV)/.done: tests/requirements.txt
	@python3 -c 'import ensurepip, venv' 2>/dev/null || sh _webrepl_shim/install.sh python3 python3-venv
	python3 -m venv --clear $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check -r tests/requirements.txt
	@touch $@

build/stubs/%/.done: tests/requirements-stubs.txt $(VENV)/.done
	grep '^micropython-$*-stubs' tests/requirements-stubs.txt | \
		$(BIN)/pip install -q --disable-pip-version-check --upgrade --target $(@D) -r /dev/stdin
	@touch $@

FORCE:
.PHONY: run firmware test lint clean FORCE
