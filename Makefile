# The commands of this repository. Each works on a fresh machine: what is missing is installed
# first (tools/setup). HACKING.md explains them.
#
#   make              build everything: build/omendb, build/libomendb.so, build/libomendb_engine.so
#   make demo         set up, build, load real data, ask questions of it
#   make check        the C core's tests (no cargo needed)
#   make test [T=wal] all that CI runs, or one suite
#   make asan|ubsan|tsan [T=..]      the core's tests under a sanitizer
#   make fuzz T=csv SECONDS=60       feed random bytes to one decoder
#   make crash [SEED=n] [SECONDS=n] [T=wal]  power cuts and failing disks, simulated (T=wal: the log)
#   make crash-flips [SEED=n] [FLIPS=n]      damaged files; the default is a million flips
#   make simulate [SEED=n] [TRANSACTIONS=n]  sessions in one thread, as a seed orders them
#   make soak [SECONDS=1800] [SEED=n]        mixed load in 2 GiB of memory: nothing may grow
#   make crash-planted [T=name]      shows that planted bugs are found
#   make differential SECONDS=600 [SEED=N]  random statements, compared with PostgreSQL 15
#   make slt PATHS=folder            sqllogictest files over each route
#   make figures [T=index.lookup] [ROWS=N]   figures beside their peers
#   make install [PREFIX=/usr/local] [DESTDIR=..]    library, engine, headers, shell, pkg-config file
#   make bench        every benchmark program, JSON on standard output
#   make lint         sizes, layers, forbidden calls, formatting, the other compiler

SHELL := /bin/bash
OMENDB_CACHE ?= $(HOME)/.cache/omendb
export OMENDB_CACHE
export CARGO_TARGET_DIR ?= $(OMENDB_CACHE)/cargo
BUILD ?= build
SECONDS ?= 60
MESON_TEST = meson test --no-rebuild --print-errorlogs $(if $(T),--suite $(T))

.PHONY: all core engine setup demo check test asan ubsan tsan fuzz crash crash-flips crash-planted simulate soak differential slt figures bench install lint clean
.DEFAULT_GOAL := all

all: core engine

setup:
	@tools/setup all

$(BUILD)/build.ninja: meson.build meson_options.txt
	@tools/setup core
	@if [ -e $@ ]; then meson setup --reconfigure $(BUILD); else meson setup $(BUILD); fi >/dev/null

core: $(BUILD)/build.ninja
	@ninja -C $(BUILD) --quiet

engine: $(BUILD)/build.ninja
	@tools/build-engine $(BUILD)

demo:
	@tools/demo $(BUILD)

check: core
	@cd $(BUILD) && OMENDB_ENGINE=$(CURDIR)/$(BUILD)/libomendb_engine.so $(MESON_TEST) $(if $(T),,--no-suite engine --no-suite crash-long)

test:
	@tools/run-tests $(BUILD) $(T)

asan ubsan tsan:
	@tools/setup core
	@tools/run-sanitizer $@ $(T)

fuzz:
	@tools/setup core
	@tools/run-fuzzer "$(T)" "$(SECONDS)"

crash: core
	@$(BUILD)/tests/crash/crash$(if $(filter wal,$(T)),_wal) --seconds "$(SECONDS)" $(if $(SEED),--seed "$(SEED)")

crash-flips: core
	@OMENDB_ENGINE=$(CURDIR)/$(BUILD)/libomendb_engine.so \
	    $(BUILD)/tests/crash/crash_flips --seconds 86400 --flips "$(or $(FLIPS),1000000)" \
	    $(if $(wildcard $(BUILD)/libomendb_engine.so),--parquet 5) $(if $(SEED),--seed "$(SEED)")

crash-planted: core
	@tools/python tests/crash/run_planted.py $(BUILD) $(T)

simulate: core
	@$(BUILD)/tests/isolation/simulate --transactions "$(or $(TRANSACTIONS),1000000)" $(if $(SEED),--seed "$(SEED)")

soak: all
	@tools/soak $(BUILD)/tests/soak/soak $(if $(filter file,$(origin SECONDS)),1800,"$(SECONDS)") $(SEED)

differential: all
	@tools/setup oracle
	@tools/python tests/differential/fuzz.py --seconds "$(SECONDS)" $(if $(SEED),--seed "$(SEED)")

slt: all
	@tools/python tests/sql/run_slt.py $(or $(PATHS),tests/sql)

figures: all
	@tools/figures $(BUILD) $(T)

install: all
	@meson configure $(BUILD) $(if $(PREFIX),-Dprefix=$(abspath $(PREFIX)))
	@ninja -C $(BUILD) --quiet
	@DESTDIR=$(DESTDIR) meson install -C $(BUILD) --no-rebuild --quiet
	@if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" = 0 ]; then ldconfig; fi

bench: all
	@tools/figures $(BUILD) --json $(T)

lint:
	@tools/setup core
	@tools/tidy && tools/check-format && tools/build-clang

clean:
	rm -rf $(BUILD) build-asan build-ubsan build-tsan build-fuzz build-clang
