# make run, make test: see README.md.

PORT ?= 8266
FLASH ?= build/flash
export MICROPY_DIR

# Which board make run starts: unix, lwip or lwip-esp8266.
BOARD ?= unix
FIRMWARE = build/board/micropython
FIRMWARE32 = build/board32/micropython
FIRMWARE_WITHOUT = build/board-without-webrepl/micropython
FIRMWARE_STM32 = build/board-stm32/micropython
FIRMWARE_ESP8266 = build/board-esp8266/micropython
FIRMWARE_LWIP = build/board-lwip/micropython
FIRMWARE_LWIP_ESP8266 = build/board-lwip-esp8266/micropython
FIRMWARE_LWIP_PATCHED = build/board-lwip-patched/micropython
FIRMWARE_RUN = $(if $(filter unix,$(BOARD)),$(FIRMWARE),build/board-$(BOARD)/micropython)
FROZEN = webrepl.py webrepl_setup.py manifest.py _webrepl_shim/build.sh build/micropy_dir
SOURCES = $(FROZEN) $(wildcard _webrepl_shim/*.py _webrepl_shim/unix/*)
SOURCES_LWIP = $(FROZEN) $(wildcard _webrepl_shim/lwip/*.* _webrepl_shim/lwip/*/* _webrepl_shim/lwip/Makefile)
VENV = build/venv
BIN = $(VENV)/bin
CLIENTS = build/venv-clients
PAGE = page/dist/webrepl_content.js.gz
STUBS = build/stubs/esp32/.done build/stubs/esp8266/.done

# Start the virtual board, with this terminal as its serial console; BOARD=lwip starts the emulated one.
run: $(FIRMWARE_RUN)
	@sh _webrepl_shim/run.sh "$(FIRMWARE_RUN)" "$(FLASH)" "$(PORT)" '$(subst ','\'',$(PASSWORD))'

# Build the virtual board; MICROPY_DIR=folder builds it from that MicroPython.
firmware: $(FIRMWARE)

# One whose firmware lacks the C module _webrepl, for the one in Python.
firmware-without-webrepl: $(FIRMWARE_WITHOUT)

# The emulated board: a chip's firmware with lwIP, and the same as near to an ESP8266 as it gets.
firmware-lwip: $(FIRMWARE_LWIP)
firmware-lwip-esp8266: $(FIRMWARE_LWIP_ESP8266)

# The first of them with faults of MicroPython's own cured: see _webrepl_shim/README.md.
firmware-lwip-patched: $(FIRMWARE_LWIP_PATCHED)

test: $(FIRMWARE) $(FIRMWARE32) $(FIRMWARE_WITHOUT) $(FIRMWARE_STM32) $(FIRMWARE_ESP8266) \
	$(FIRMWARE_LWIP) $(FIRMWARE_LWIP_ESP8266) $(FIRMWARE_LWIP_PATCHED) $(VENV)/.done $(CLIENTS)/.done build/stubs/esp32/.done
	$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

# Build the client page, which is in the repository too, so that nobody else needs Node.js.
page: page/node_modules/.done
	node page/build.js "$(PAGE)"

# Take the README's pictures of it.
pictures: $(FIRMWARE) $(VENV)/.done
	$(BIN)/python -m pytest tests/test_page.py -k test_pictures
	cp build/session.png build/session-phone.png tests

# What mip installs on boards that are too small to compile: mpremote mip install --target / dist/package.json
dist: $(FIRMWARE)
	rm -rf dist
	mkdir dist
	for module in webrepl webrepl_setup _webrepl_shim/_webrepl; do \
		build/mpy-cross/mpy-cross -O3 -s "$${module##*/}.py" -o "dist/$${module##*/}.mpy" $$module.py || exit 1; \
	done
	cp $(PAGE) dist
	python3 _webrepl_shim/dist.py dist

# Style, and names that no board has.
lint: $(VENV)/.done $(STUBS) page/node_modules/.done
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy tests
	for port in esp32 esp8266; do \
		MYPYPATH=build/stubs/$$port $(BIN)/mypy --config-file _webrepl_shim/mypy.ini \
			--custom-typeshed-dir build/stubs/$$port webrepl.py webrepl_setup.py \
			_webrepl_shim/_webrepl.py || exit 1; \
	done
	cd page && node_modules/.bin/biome check --error-on-warnings

# How fast it is: make bench [PEER=path/to/another/webrepl.py] [REPEAT=n]. Writes build/bench.json.
bench: $(FIRMWARE) $(FIRMWARE_LWIP) $(VENV)/.done
	@PYTHONPATH=tests $(BIN)/python tests/bench/bench.py $(if $(PEER),--peer "$(PEER)") $(if $(REPEAT),--repeat $(REPEAT))

# Draw tests/bench/bench.svg from build/bench.json.
bench-plot: build/venv-plot/.done
	@build/venv-plot/bin/python tests/bench/bench_plot.py

# What it takes of flash and heap: make size [PEER=path/to/another/webrepl.py].
size: $(FIRMWARE) $(FIRMWARE32) $(VENV)/.done
	@PYTHONPATH=tests $(BIN)/python tests/bench/size.py $(if $(PEER),--peer "$(PEER)")

clean:
	rm -rf build dist page/node_modules

$(FIRMWARE): $(SOURCES)
	@echo "Building the virtual board ..."
	@sh _webrepl_shim/build.sh board

$(FIRMWARE_WITHOUT): $(SOURCES)
	@echo "Building the virtual board without _webrepl ..."
	@sh _webrepl_shim/build.sh board-without-webrepl MICROPY_PY_WEBREPL=0

# One with what an STM32's firmware has: no os.dupterm_notify().
$(FIRMWARE_STM32): $(SOURCES)
	@echo "Building the virtual STM32 ..."
	@sh _webrepl_shim/build.sh board-stm32 BOARD_CHIP=BOARD_STM32

# For words of 32 bits, as chips have, gcc must be able to build that; else the tests of sizes do without.
CC32 = echo 'int main(void) { return 0; }' | gcc -m32 -xc - -o /dev/null 2>/dev/null || \
	sh _webrepl_shim/install.sh gcc-multilib

$(FIRMWARE32): $(SOURCES)
	@if $(CC32); then \
		echo "Building the 32-bit virtual board ..."; sh _webrepl_shim/build.sh board32 MICROPY_FORCE_32BIT=1; \
	fi

# One with an ESP8266's language and heap.
$(FIRMWARE_ESP8266): $(SOURCES)
	@$(CC32)
	@echo "Building the virtual ESP8266 ..."
	@sh _webrepl_shim/build.sh board-esp8266 BOARD_CHIP=BOARD_ESP8266 MICROPY_FORCE_32BIT=1

$(FIRMWARE_LWIP) $(FIRMWARE_LWIP_ESP8266) $(FIRMWARE_LWIP_PATCHED): build/%/micropython: $(SOURCES_LWIP)
	@echo "Building the emulated board $* ..."
	@sh _webrepl_shim/build.sh $*

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

page/node_modules/.done: page/package-lock.json
	@command -v node >/dev/null && command -v npm >/dev/null || sh _webrepl_shim/install.sh nodejs npm
	cd page && npm ci --silent --ignore-scripts
	@touch $@

FORCE:
.PHONY: run firmware firmware-without-webrepl firmware-lwip firmware-lwip-esp8266 firmware-lwip-patched \
	test dist page pictures lint bench bench-plot size clean FORCE
