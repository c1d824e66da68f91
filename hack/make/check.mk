# Style, analysers, layers. Each check prints what is wrong and where; the last line counts them.

.PHONY: check check-layers fuzz fuzz-tools test-fuzz
check: ## style, analysers, layers
	@hack/check

check-layers: ## which room may use which
	@hack/check-layers

# The fuzz targets' corpora, run as tests with the unit build's sanitizers.
FUZZ_SRC := $(wildcard tests/fuzz/*_fuzz.c)
FUZZ_REPLAY := $(FUZZ_SRC:tests/fuzz/%.c=$(BUILD)/unit/fuzz/%)
$(FUZZ_REPLAY): $(BUILD)/unit/fuzz/%: $(BUILD)/unit/tests/fuzz/%.o $(BUILD)/unit/tests/fuzz/replay.o \
    $(UNIT_IO_LIB) $(UNIT_PURE_LIB)
	@mkdir -p $(@D)
	$(Q)$(CC) $(UNIT_CFLAGS) -o $@ $(filter %.o,$^) $(UNIT_IO_LIB) $(UNIT_PURE_LIB) $(IO_LIBS) $(PURE_LIBS)
test-fuzz: $(FUZZ_REPLAY) ## the fuzzers' corpora as tests
	@hack/run-fuzz replay $(BUILD)/unit/fuzz

# Real fuzzing with clang's libFuzzer: make fuzz FUZZ_SECONDS=600
FUZZ_SECONDS ?= 60
FUZZ_BIN := $(FUZZ_SRC:tests/fuzz/%.c=$(BUILD)/fuzz/%)
fuzz-tools:
	@hack/prerequisites fuzz
$(FUZZ_BIN): $(BUILD)/fuzz/%: tests/fuzz/%.c $(PURE_SRC) $(IO_SRC) | fuzz-tools
	@mkdir -p $(@D)
	$(Q)clang $(filter-out -MMD -MP,$(CFLAGS_COMMON)) -Wno-error -O1 -g -fsanitize=fuzzer,address,undefined \
	    $(PG_INCLUDE) $(PGQUERY_INCLUDE) -o $@ $< $(PURE_SRC) $(IO_SRC) $(IO_LIBS) $(PURE_LIBS)
fuzz: $(FUZZ_BIN) ## libFuzzer over every parser, FUZZ_SECONDS each
	@hack/run-fuzz fuzz $(BUILD)/fuzz $(FUZZ_SECONDS)
