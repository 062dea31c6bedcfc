# SPDX-License-Identifier: Apache-2.0
# Thin: meson builds, the scripts do the rest. BUILD names the build folder.
BUILD ?= build
FUZZ_SECONDS ?= 60

.PHONY: help demo check bench bench-node e2e fuzz image install clean packages

help:
	@echo 'make demo      install what is missing, build, and show what a reservation does'
	@echo 'make check     install what is missing, build, and run all the tests'
	@echo 'make bench     measure: admission, reserve, hook, memory; then bench-node'
	@echo 'make bench-node  measure claims on a real Kubernetes node (as root)'
	@echo 'make e2e       build a real Kubernetes node (once), and run claims on it'
	@echo 'make fuzz      run every fuzzer for FUZZ_SECONDS ($(FUZZ_SECONDS)) seconds'
	@echo 'make image     build the container image that the Helm chart runs'
	@echo 'make install   build and install (DESTDIR is honoured)'
	@echo 'make clean     remove the build folders'

demo: $(BUILD)/build.ninja
	@ninja -C $(BUILD)
	@tools/demo $(BUILD)

check: packages
	@tools/install-packages check
	@tests/run --build $(BUILD)

bench: $(BUILD)/build.ninja
	@ninja -C $(BUILD)
	@meson test -C $(BUILD) --benchmark --num-processes 1 --verbose
	@$(MAKE) --no-print-directory bench-node

e2e: packages
	@tools/install-packages check e2e
	@[ -f $(BUILD)/build.ninja ] || meson setup $(BUILD)
	@ninja -C $(BUILD)
	@tests/e2e/build
	@tests/run --build $(BUILD) --suite peers --suite e2e

bench-node: packages
	@tools/install-packages check e2e
	@[ -f $(BUILD)/build.ninja ] || meson setup $(BUILD)
	@ninja -C $(BUILD)
	@tests/e2e/build
	@tests/e2e/bench_node.py --build $(BUILD)

fuzz:
	@tools/install-packages develop
	@BUILD=$(BUILD)-fuzz tests/fuzz/run $(FUZZ_SECONDS)

image: $(BUILD)/build.ninja
	@ninja -C $(BUILD)
	@tools/build-image --build $(BUILD)

install: $(BUILD)/build.ninja
	@ninja -C $(BUILD)
	@meson install -C $(BUILD) --no-rebuild

clean:
	rm -rf $(BUILD) $(BUILD)-*

packages:
	@tools/install-packages

$(BUILD)/build.ninja: | packages
	@meson setup $(BUILD)
