# make            build slipway (installs what is missing when it may)
# make demo       build, then the main job: lock, build and train examples/tf29
# make test       build and run every test
# make install    PREFIX=/usr/local  DESTDIR=   programs, manual pages, completions
# make deb        Debian packages slipway and slipway-serve in build/deb
# make docs       check the documentation: reference pages, links, figures, every transcript; build the manual
# make bench      run every benchmark beside its rivals and write docs/benchmarks.md (root, 40 GB)
# make check      what a change must pass: test, format, layering, clang build
PREFIX ?= /usr/local
DESTDIR ?=
BUILD ?= build/release
JOBS ?= $(shell nproc)

.PHONY: all configure build demo test install deb docs bench clean format check-format tidy check deps-build deps-test deps-check deps-bench

all: build

deps-build:
	@tools/install-deps build
deps-test:
	@tools/install-deps test
deps-bench:
	@tools/install-deps bench
deps-check:
	@tools/install-deps check

$(BUILD)/build.ninja: CMakeLists.txt CMakePresets.json
	cmake --preset release -B $(BUILD) >$(BUILD).log 2>&1 || { cat $(BUILD).log; exit 1; }

configure: deps-build
	@mkdir -p $(dir $(BUILD))
	@$(MAKE) --no-print-directory $(BUILD)/build.ninja

build: configure
	cmake --build $(BUILD) -j $(JOBS)

# Without the tests, which are half of what there is to compile.
demo: configure
	cmake --build $(BUILD) -j $(JOBS) --target slipway slipway-init slipway-serve
	@tools/demo $(BUILD)

test: deps-test
	@$(MAKE) --no-print-directory build
	@tools/test $(BUILD)

install: build
	DESTDIR=$(DESTDIR) cmake --install $(BUILD) --strip --prefix $(abspath $(PREFIX))
	@[ -n "$(DESTDIR)" ] || tools/write-config "$(abspath $(PREFIX))/bin/slipway"

deb: deps-test
	@tools/make-deb build/deb

docs: deps-test
	@$(MAKE) --no-print-directory build
	@tools/test $(BUILD) -R '^(docs|hosts|benchmarks|transcripts|packages.manual|readme)$$'
	@echo "manual pages and completions: $(BUILD)/made"

bench: deps-bench
	@$(MAKE) --no-print-directory build
	python3 bench/run.py $(BUILD) $(BENCH)

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
