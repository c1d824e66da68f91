# What ships: one static file, linked against the static archives that hack/deps builds once.
RELEASE_OBJ := $(patsubst %.c,$(BUILD)/release/%.o,$(PURE_SRC) $(IO_SRC) $(CMD_SRC))
DEPS_MK := $(BUILD)/deps.mk

# hack/deps is a no-op when its cache is warm; it prints the prefix it built. The cache may be deleted at
# any time: a file that speaks of a folder that is gone is made anew, as if it were not there.
# Of PgBouncer only the version is wanted here: hack/image builds it.
DEPS_THERE = $(and $(wildcard $(call deps_folder,PREFIX)/deps.mk),$(wildcard $(call deps_folder,PGBOUNCER)/version))
deps_folder = $(shell sed -n '/^DEPS_$(1) := /{s///p;q}' $(DEPS_MK) 2>/dev/null)
.PHONY: deps-gone
$(DEPS_MK): hack/deps $(wildcard hack/deps.d/*) $(if $(DEPS_THERE),,deps-gone)
	@mkdir -p $(@D)
	@pgbouncer=$$(hack/deps pgbouncer-source) && prefix=$$(hack/deps) && \
	{ echo "DEPS_PREFIX := $$prefix"; echo "DEPS_PGBOUNCER := $$pgbouncer"; \
	    echo "DEPS_PGBOUNCER_VERSION := $$(cat "$$pgbouncer/version")"; cat "$$prefix/deps.mk"; } > $@.tmp
	@mv $@.tmp $@

ifneq ($(filter-out clean help prerequisites image test demo demo-down check check-layers,$(or $(MAKECMDGOALS),all)),)
include $(DEPS_MK)
endif
CFLAGS_COMMON += -DPGKEEL_PGBOUNCER='"$(DEPS_PGBOUNCER_VERSION)"'

# The linter sees PostgreSQL's parse nodes; nothing else does.
PGQUERY_INCLUDE = -isystem $(DEPS_PREFIX)/include -isystem $(DEPS_PREFIX)/include/pg_query/postgres
$(BUILD)/release/pkg/lint/%.o $(BUILD)/release/pkg/sql/%.o: RELEASE_CFLAGS += $(PGQUERY_INCLUDE)

RELEASE_CFLAGS := $(CFLAGS_COMMON) -Os -g1 -ffunction-sections -fdata-sections -fno-plt \
    -fno-asynchronous-unwind-tables -fstack-protector-strong -D_FORTIFY_SOURCE=2

$(BUILD)/release/%.o: %.c $(DEPS_MK)
	@mkdir -p $(@D)
	$(Q)$(CCACHE) $(CC) $(RELEASE_CFLAGS) $(DEPS_CFLAGS) -c $< -o $@

PARSER_APART := hack/make/parser.ld
$(BUILD)/pgkeel.debug: $(RELEASE_OBJ) $(PARSER_APART) hack/link
	$(Q)hack/link $(CC) -o $@ $(RELEASE_OBJ) $(DEPS_LDFLAGS_STATIC) -Wl,-z,relro,-z,now -Wl,--build-id \
	    -Wl,-T,$(PARSER_APART) $(DEPS_LDLIBS_STATIC)

$(BUILD)/pgkeel: $(BUILD)/pgkeel.debug
	$(Q)strip -o $@.tmp $< && mv $@.tmp $@

-include $(RELEASE_OBJ:.o=.d)
