# Images, the demo, the test levels that need them, benchmarks.
IMAGE ?= localhost/pgkeel:dev

.PHONY: image demo demo-down test soak bench prerequisites
prerequisites: ## install what building and testing needs (Debian, as root)
	@hack/prerequisites

image: ## the operator's image, by the Containerfile
	@hack/image build --tag $(IMAGE)

demo: ## a cluster from nothing: test cluster, operator, primary and replica
	@hack/demo up

demo-down: ## take the demo away again
	@hack/demo down

test: ## every level of tests; ends with 'N passed, N failed'
	@hack/prerequisites
	@$(MAKE) --no-print-directory $(ALL_JOBS) $(BUILD)/pgkeel
	@BUILD=$(BUILD) hack/run-tests

soak: ## hours of it: more seeds, suites over and over, fuzzing
	@hack/prerequisites
	@$(MAKE) --no-print-directory $(ALL_JOBS) $(BUILD)/pgkeel unit-bins
	@BUILD=$(BUILD) hack/soak

bench: $(BUILD)/pgkeel ## time and memory, a table and build/bench.json
	@bench/run
