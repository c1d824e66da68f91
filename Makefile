# pgkeel. `make help` lists the targets.
BUILD ?= build
CC ?= cc
# Objects come out of a cache keyed by content where ccache is there (hack/prerequisites installs it).
CCACHE := $(shell command -v ccache)
export CCACHE_DIR ?= $(or $(PGKEEL_CACHE),$(HOME)/.cache/pgkeel)/ccache
export CCACHE_NOHASHDIR ?= 1
export CCACHE_MAXSIZE ?= 1G
# `make V=1` shows each command.
Q := $(if $(V),,@)
# For what compiles inside `make test`: a job per processor, unless make was told how many.
ALL_JOBS = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))
VERSION := $(shell sed -n 's/^## \[\{0,1\}\([0-9][0-9.a-z-]*\)\]\{0,1\}.*/\1/p' CHANGELOG.md | head -n 1)
WARNINGS := -Wall -Wextra -Wconversion -Wshadow -Wvla -Wformat=2 -Wstrict-prototypes \
    -Wmissing-prototypes -Werror
CFLAGS_COMMON := -std=gnu11 -D_GNU_SOURCE -Ipkg -Icmd $(WARNINGS) -MMD -MP \
    -DPGKEEL_VERSION='"$(VERSION)"'

# Rooms that do no I/O: their unit tests link without libcurl and libpq, so that the linker proves it.
PURE_ROOMS := base yaml phrase spec api lease machine credentials model model/blockers desired plan status sql lint lint/rules
IO_ROOMS := http kubeconfig kube pg loop metrics observe apply control volume postgres member instance
PURE_SRC := $(foreach r,$(PURE_ROOMS),$(wildcard pkg/$(r)/*.c))
IO_SRC := $(foreach r,$(IO_ROOMS),$(wildcard pkg/$(r)/*.c))
CMD_SRC := $(wildcard cmd/pgkeel/*.c)

include hack/make/release.mk hack/make/unit.mk hack/make/check.mk hack/make/cluster.mk

.DEFAULT_GOAL := all
.PHONY: all clean help
all: $(BUILD)/pgkeel ## build/pgkeel, one static file

clean: ## remove build/ (caches stay)
	rm -rf $(BUILD)

help: ## this list
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | sort | \
	    while IFS="$$(printf '\t')" read -r t h; do printf '  %-16s %s\n' "$$t" "$$h"; done
