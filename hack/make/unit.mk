# Unit tests: one program per file of tests/unit, named <room>_<subject>_test.c, with ASan and UBSan
# and the distribution's shared libraries. Tests of pure rooms see only the pure rooms' code.
UNIT_CFLAGS := $(CFLAGS_COMMON) -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all \
    -fno-omit-frame-pointer -Itests/unit
UNIT_PURE_LIB := $(BUILD)/unit/libpure.a
UNIT_IO_LIB := $(BUILD)/unit/libio.a
UNIT_SRC := $(wildcard tests/unit/*_test.c)
UNIT_PURE := $(foreach r,$(PURE_ROOMS),$(filter tests/unit/$(r)_%,$(UNIT_SRC)))
UNIT_IO := $(filter-out $(UNIT_PURE),$(UNIT_SRC))
UNIT_PURE_BIN := $(UNIT_PURE:tests/unit/%.c=$(BUILD)/unit/bin/%)
UNIT_IO_BIN := $(UNIT_IO:tests/unit/%.c=$(BUILD)/unit/bin/%)
# libpg_query, which no distribution has with its parse trees, comes from the same prefix as the
# release's.
PURE_LIBS = -lcjson -lyaml -lcrypto $(DEPS_LIB_PGQUERY) -lm
IO_LIBS := -lcurl -lpq -levent -levent_openssl -lssl -lcrypto -lnghttp2
PG_INCLUDE := -I$(shell pg_config --includedir 2>/dev/null || echo /usr/include/postgresql)

$(BUILD)/unit/pkg/lint/%.o $(BUILD)/unit/pkg/sql/%.o: UNIT_CFLAGS += $(PGQUERY_INCLUDE)
$(BUILD)/unit/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CCACHE) $(CC) $(UNIT_CFLAGS) $(PG_INCLUDE) -c $< -o $@

# Which PgBouncer it names changes with the pin.
$(CMD_SRC:%.c=$(BUILD)/unit/%.o): $(DEPS_MK)

$(UNIT_PURE_LIB): $(PURE_SRC:%.c=$(BUILD)/unit/%.o)
	$(Q)rm -f $@ && ar rcs $@ $^
$(UNIT_IO_LIB): $(IO_SRC:%.c=$(BUILD)/unit/%.o)
	@mkdir -p $(@D)
	$(Q)rm -f $@ && ar rcs $@ $^

$(UNIT_PURE_BIN): $(BUILD)/unit/bin/%: $(BUILD)/unit/tests/unit/%.o $(UNIT_PURE_LIB)
	@mkdir -p $(@D)
	$(Q)$(CC) $(UNIT_CFLAGS) -o $@ $< $(UNIT_PURE_LIB) -lcmocka $(PURE_LIBS)
$(UNIT_IO_BIN): $(BUILD)/unit/bin/%: $(BUILD)/unit/tests/unit/%.o $(UNIT_IO_LIB) $(UNIT_PURE_LIB)
	@mkdir -p $(@D)
	$(Q)$(CC) $(UNIT_CFLAGS) -o $@ $< $(UNIT_IO_LIB) $(UNIT_PURE_LIB) -lcmocka $(IO_LIBS) $(PURE_LIBS)

# The whole program with sanitizers, for tests that run it as a process (PGKEEL=$(BUILD)/unit/bin/pgkeel).
$(BUILD)/unit/bin/pgkeel: $(CMD_SRC:%.c=$(BUILD)/unit/%.o) $(UNIT_IO_LIB) $(UNIT_PURE_LIB)
	@mkdir -p $(@D)
	$(Q)$(CC) $(UNIT_CFLAGS) -o $@ $^ $(IO_LIBS) $(PURE_LIBS)

.PRECIOUS: $(BUILD)/unit/%.o
.PHONY: test-unit unit-bins
unit-bins: $(UNIT_PURE_BIN) $(UNIT_IO_BIN)
test-unit: unit-bins ## unit tests, sanitizers on
	@hack/run-unit $(BUILD)/unit/bin

-include $(shell find $(BUILD)/unit -name '*.d' 2>/dev/null)
