# make            build slipway (installs what is missing when it may)
# make demo       build, then the main job: lock, build and train examples/tf29
# make test       build and run every test
# make install    PREFIX=/usr/local  DESTDIR=
# make check      what a change must pass: test, format, layering, clang build
PREFIX ?= /usr/local
DESTDIR ?=
BUILD ?= build/release
JOBS ?= $(shell nproc)

.PHONY: all build demo test install clean format check-format tidy check deps-build deps-test deps-check

all: build

deps-build:
	@tools/install-deps build
deps-test:
	@tools/install-deps test
deps-check:
	@tools/install-deps check

$(BUILD)/build.ninja: CMakeLists.txt CMakePresets.json
	cmake --preset release -B $(BUILD) >$(BUILD).log 2>&1 || { cat $(BUILD).log; exit 1; }

build: deps-build
	@mkdir -p $(dir $(BUILD))
	@$(MAKE) --no-print-directory $(BUILD)/build.ninja
	cmake --build $(BUILD) -j $(JOBS)

demo: build
	@tools/demo $(BUILD)

test: deps-test
	@$(MAKE) --no-print-directory build
	@tools/test $(BUILD)

install: build
	DESTDIR=$(DESTDIR) cmake --install $(BUILD) --strip --prefix $(abspath $(PREFIX))
	@[ -n "$(DESTDIR)" ] || tools/write-config "$(abspath $(PREFIX))/bin/slipway"

format: deps-check
	git ls-files '*.cc' '*.h' | xargs clang-format-19 -i
check-format: deps-check
	git ls-files '*.cc' '*.h' | xargs clang-format-19 --dry-run --Werror

tidy: deps-check build
	git ls-files 'src/*.cc' 'bin/*.cc' | xargs -P $(JOBS) -n 4 clang-tidy-19 -p $(BUILD) --quiet --warnings-as-errors='*' --extra-arg=-Wno-unknown-warning-option

check: test check-format
	cmake --preset clang && cmake --build build/clang -j $(JOBS)

clean:
	rm -rf build
