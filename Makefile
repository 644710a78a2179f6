# MOPL: build, run, test. `make help` lists the goals.
SHELL := /bin/bash
.DEFAULT_GOAL := build

# MODE=release (default) | san (ASan + UBSan) | tsan (ThreadSanitizer) | fuzz is chosen by the goals that need it; each has its own folder under build/.
MODE ?= release
B := build/$(MODE)

PG_INC := $(shell pg_config --includedir 2>/dev/null)
WARN := -Wall -Wextra -Wpedantic -Werror -Wshadow -Wvla -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes -Wcast-qual
CFLAGS_release := -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
CFLAGS_san := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
CFLAGS_tsan := -O1 -g -fsanitize=thread -fno-omit-frame-pointer
CFLAGS_fuzz := -O1 -g -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all -fno-omit-frame-pointer -Wno-gnu-statement-expression
LDFLAGS_release := -pie -Wl,-z,relro,-z,now
LDFLAGS_san := -fsanitize=address,undefined
LDFLAGS_tsan := -fsanitize=thread
LDFLAGS_fuzz := -fsanitize=address,undefined,fuzzer
CFLAGS := -std=c17 -D_GNU_SOURCE $(WARN) $(CFLAGS_$(MODE)) -iquote lib -iquote sse-bridge $(if $(PG_INC),-isystem $(PG_INC)) -MMD -MP
LDFLAGS := $(LDFLAGS_$(MODE))
# The programs that never speak to Kafka, list a bucket, fold texts or write archives are not to load the libraries for it.
LIBS := -lfcgi -lpq -lhiredis -ljson-c -ljwt -lcurl -lcrypto -lcrypt -lm -Wl,--push-state,--as-needed -lrdkafka -lexpat -lunistring -larchive -Wl,--pop-state

LIB_OBJ := $(patsubst %.c,$(B)/%.o,$(wildcard lib/*.c))
# endpoints/NAME.c and endpoints/NAME-*.c make the responder NAME; the same of workers and tools.
RESPONDERS := $(foreach r,$(basename $(notdir $(wildcard endpoints/*.c))),$(if $(findstring -,$(r)),,$(r)))
WORKERS := $(foreach w,$(basename $(notdir $(wildcard workers/*.c))),$(if $(findstring -,$(w)),,$(w)))
TOOLS := $(foreach t,$(basename $(notdir $(wildcard tools/*.c))),$(if $(findstring -,$(t:mopl-%=%)),,$(t)))
SUPPORT_OBJ := $(patsubst %.c,$(B)/%.o,$(wildcard tests/support/*.c))
UNIT := $(basename $(notdir $(wildcard tests/unit/*.c)))
PROGRAMS := $(addprefix $(B)/bin/,$(RESPONDERS) $(WORKERS) $(TOOLS) sse-bridge) $(if $(wildcard batch/*.c),$(B)/bin/mopl-batch)

.PHONY: run
run: deps ## install, build, start, load the demo catalogue; prints the address and the administrator's sign-in
	@$(MAKE) --silent -j$$(nproc) build viewer
	@scripts/run.sh

.PHONY: deps deps-test
deps: ## install the Debian packages that building and serving need (root or sudo; nothing if they are there)
	@scripts/install.sh run
deps-test: ## as deps, and those of the tests and checks
	@scripts/install.sh test

ifeq ($(MODE),tsan)
$(PROGRAMS): $(B)/tests/tsan/threads.o
endif

.PHONY: build
build: $(PROGRAMS) ## compile everything that runs

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(EXTRA_CFLAGS) -c $< -o $@

# The version and the newest migration, which every program knows of itself.
VERSION_FLAGS := -DMOPL_VERSION=$(file < VERSION) -DMOPL_SCHEMA=$(shell ls sql/migrations | sed -n 's/^0*\([0-9]*\)_.*\.sql$$/\1/p' | sort -n | tail -n 1)
$(B)/lib/version.o: VERSION sql/migrations
$(B)/lib/version.o: CFLAGS += $(VERSION_FLAGS)

$(B)/libmopl.a: $(LIB_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

define responder_rule
$(B)/bin/$(1): $$(patsubst %.c,$(B)/%.o,$$(wildcard endpoints/$(1).c endpoints/$(1)-*.c)) $(B)/libmopl.a
	@mkdir -p $$(@D)
	$$(CC) $$(LDFLAGS) -o $$@ $$^ $$(LIBS)
endef
$(foreach r,$(RESPONDERS),$(eval $(call responder_rule,$(r))))

define worker_rule
$(B)/bin/$(1): $$(patsubst %.c,$(B)/%.o,$$(wildcard workers/$(1).c workers/$(1)-*.c)) $(B)/lib/worker_main.o $(B)/libmopl.a
	@mkdir -p $$(@D)
	$$(CC) $$(LDFLAGS) -o $$@ $$^ $$(LIBS)
endef
$(foreach w,$(WORKERS),$(eval $(call worker_rule,$(w))))

define tool_rule
$(B)/bin/$(1): $$(patsubst %.c,$(B)/%.o,$$(wildcard tools/$(1).c tools/$(1)-*.c)) $(B)/libmopl.a
	@mkdir -p $$(@D)
	$$(CC) $$(LDFLAGS) -o $$@ $$^ $$(LIBS)
endef
$(foreach t,$(TOOLS),$(eval $(call tool_rule,$(t))))

$(B)/bin/mopl-batch: $(patsubst %.c,$(B)/%.o,$(wildcard batch/*.c)) $(B)/libmopl.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

# Criterion goes before the library: its main is to be found first, not the responders'.
$(B)/tests/unit/%: $(B)/tests/unit/%.o $(SUPPORT_OBJ) $(B)/libmopl.a
	$(CC) $(LDFLAGS) -o $@ $< -lcriterion $(filter-out $<,$(filter %.o,$^)) $(filter %.a,$^) $(LIBS)

# The pure parts of the jobs, which are not in the library.
$(B)/tests/unit/test_import_catalogue: $(B)/batch/catalogue.o $(B)/batch/item.o
$(B)/tests/unit/test_collected_items: $(addprefix $(B)/batch/,tmdb.o sportsdb.o json.o item.o)

# The real-time bridge without its main is a library: tests/unit/test_bridge_NAME and tests/fuzz/fuzz_bridge_NAME link it.
$(B)/libbridge.a: $(patsubst %.c,$(B)/%.o,$(filter-out sse-bridge/main.c,$(wildcard sse-bridge/*.c)))
	@rm -f $@
	$(AR) rcs $@ $^
$(B)/bin/sse-bridge: $(B)/sse-bridge/main.o $(B)/libbridge.a $(B)/libmopl.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ -lev $(LIBS)
$(B)/tests/unit/test_bridge_%: $(B)/tests/unit/test_bridge_%.o $(SUPPORT_OBJ) $(B)/libbridge.a $(B)/libmopl.a
	$(CC) $(LDFLAGS) -o $@ $< -lcriterion $(filter-out $<,$^) -lev $(LIBS)
$(B)/tests/fuzz/fuzz_bridge_%: $(B)/tests/fuzz/fuzz_bridge_%.o $(B)/libbridge.a $(B)/libmopl.a
	$(CC) $(LDFLAGS) -o $@ $^ -lev $(LIBS)

# The viewer of the API documentation at /docs/.
VIEWER := build/vendor/swagger-ui
.PHONY: viewer
viewer: $(VIEWER)/.installed ## install Swagger UI
$(VIEWER)/.installed: docs/viewer/requirements.txt
	@rm -rf $(VIEWER) $(VIEWER).new
	@mkdir -p $(@D)
	python3 -m pip --disable-pip-version-check install --quiet --root-user-action ignore --no-deps --no-compile --require-hashes \
		--target $(VIEWER).new -r $<
	@cp $(VIEWER).new/flask_swagger_ui/dist/* $(VIEWER)/
	@rm -rf $(VIEWER).new
	@touch $@

# tests/unit/test_NAME of a responder calls its routes: it links endpoints/NAME.c and its further files.
define endpoint_test_rule
$(B)/tests/unit/test_$(1): $$(patsubst %.c,$(B)/%.o,$$(wildcard endpoints/$(1).c endpoints/$(1)-*.c))
endef
$(foreach r,$(RESPONDERS),$(eval $(call endpoint_test_rule,$(r))))

.PHONY: unit
unit: $(addprefix $(B)/tests/unit/,$(UNIT)) ## compile the unit tests (run one alone: build/release/tests/unit/test_str)

# Tests that need Kafka.
BUS := $(basename $(notdir $(wildcard tests/bus/test_*.c)))
$(B)/tests/bus/%: $(B)/tests/bus/%.o $(SUPPORT_OBJ) $(B)/libmopl.a
	$(CC) $(LDFLAGS) -o $@ $< -lcriterion $(filter-out $<,$(filter %.o,$^)) $(filter %.a,$^) $(LIBS)

$(B)/tests/bus/test_bridge_%: $(B)/tests/bus/test_bridge_%.o $(SUPPORT_OBJ) $(B)/libbridge.a $(B)/libmopl.a
	$(CC) $(LDFLAGS) -o $@ $< -lcriterion $(filter-out $<,$^) -lev $(LIBS)

.PHONY: bus kafka s3
bus: kafka $(addprefix $(B)/tests/bus/,$(BUS)) ## compile the tests that need Kafka, and fetch its broker
kafka:
	@scripts/kafka.sh install
search: ## fetch a private Elasticsearch with its Korean analyzer
	@scripts/search.sh install
s3:
	@scripts/s3.sh install

INTEGRATION := $(basename $(notdir $(wildcard tests/integration/test_*.c)))
$(B)/tests/integration/%: $(B)/tests/integration/%.o $(B)/tests/integration/api.o $(B)/libmopl.a
	$(CC) $(LDFLAGS) -o $@ $< -lcriterion $(filter-out $<,$^) $(LIBS)

.PHONY: integration
integration: $(addprefix $(B)/tests/integration/,$(INTEGRATION)) ## compile the integration tests (run one alone: tests/run.sh integration/test_reviews, which gives it an instance)

# The real clients of the tests, as the lock file names them.
CLIENT_MODULES := tests/clients/node_modules/.package-lock.json
# Grafana's schema, for the tests of the dashboards.
MONITORING_MODULES := tests/monitoring/node_modules/.package-lock.json
$(CLIENT_MODULES) $(MONITORING_MODULES): tests/%/node_modules/.package-lock.json: tests/%/package-lock.json
	@cd tests/$* && npm ci --no-audit --no-fund --silent
	@touch $@

.PHONY: test check san
test: deps-test ## every test, on a fresh machine too; ends with one line "N passed, N failed"
	@$(MAKE) --silent -j$$(nproc) build unit bus s3 search integration viewer fuzz-programs $(CLIENT_MODULES) $(MONITORING_MODULES)
	@tests/run.sh
check: ## the fast part: unit tests, SQL, integration tests of what is built here; some 5 minutes
	@$(MAKE) --silent -j$$(nproc) build unit integration
	@tests/run.sh unit sql integration
san: deps-test ## every test with AddressSanitizer and UndefinedBehaviorSanitizer; a report of any process, a leak too, is a failure
	@$(MAKE) --silent -j$$(nproc) MODE=san build unit bus s3 search integration viewer $(CLIENT_MODULES) $(MONITORING_MODULES)
	@tests/run.sh --san

.PHONY: tsan
tsan: deps-test kafka ## what has threads with ThreadSanitizer: two bridges, relay and notifier over a real Kafka, which is killed, too
	@$(MAKE) --silent -j$$(nproc) MODE=tsan build $(CLIENT_MODULES)
	@tests/run.sh --tsan faults/bridges

.PHONY: faults
faults: deps-test ## the whole system under load while its processes are killed, for FAULTS_MINUTES (10); FAULTS_SEED repeats a run's choices
	@$(MAKE) --silent -j$$(nproc) build kafka s3 search $(CLIENT_MODULES)
	@node tests/faults/everything/run.js

# Fuzzers (libFuzzer, clang): inputs found on the way stay in the build folder; tests/fuzz/corpus holds the seeds.
FUZZERS := $(basename $(notdir $(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_RUNS ?= 1000000
FUZZ_CC ?= clang-14

$(B)/tests/fuzz/%: $(B)/tests/fuzz/%.o $(B)/libmopl.a
	$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LIBS)
$(B)/tests/fuzz/fuzz_items: $(addprefix $(B)/batch/,catalogue.o item.o json.o sportsdb.o tmdb.o)
# Their inputs are answers: what would ask, tell the time or wait is theirs.
$(B)/tests/fuzz/fuzz_answers_%: LDFLAGS += -Wl,--wrap=http_client_call
$(B)/tests/fuzz/fuzz_answers_provider: LDFLAGS += -Wl,--wrap=clock_now_us,--wrap=jwk_verify
$(B)/tests/fuzz/fuzz_answers_bucket: LDFLAGS += -Wl,--wrap=usleep

.PHONY: fuzz fuzz-programs
fuzz: deps-test ## run each fuzzer FUZZ_RUNS times (1,000,000), two at a time, and print a line for each; FUZZ="fuzz_json ..." chooses
	@$(MAKE) --silent -j$$(nproc) fuzz-programs
	@tests/fuzz/run.sh build/fuzz $(FUZZ_RUNS) $(FUZZ)
ifeq ($(MODE),fuzz)
fuzz-programs: $(addprefix $(B)/tests/fuzz/,$(FUZZERS))
else
fuzz-programs:
	@$(MAKE) --silent MODE=fuzz CC="$(FUZZ_CC)" fuzz-programs
endif

# What ships, and all of it with the tests, which do odd things on purpose.
SHIPPED := $(wildcard lib/*.c endpoints/*.c sse-bridge/*.c workers/*.c tools/*.c batch/*.c)
SOURCES := $(SHIPPED) $(wildcard tests/*/*.c)

.PHONY: dashboards
dashboards: ## write monitoring/grafana/dashboards anew from monitoring/grafana/pages.mjs
	@node monitoring/grafana/make.mjs

.PHONY: format
format: ## lay out all C files (clang-format)
	clang-format -i $(SOURCES) $(wildcard */*.h tests/*/*.h)

# What each of the three checkers says of every file; the first finding fails the goal.
.PHONY: analyze
analyze: deps-test compile_commands.json ## check with gcc -fanalyzer, clang-tidy, cppcheck and shellcheck
	@$(MAKE) --silent -j$$(nproc) -k B=build/analyze EXTRA_CFLAGS=-fanalyzer build
	clang-format --dry-run -Werror $(SOURCES) $(wildcard */*.h tests/*/*.h)
	printf '%s\n' $(SHIPPED) | xargs -P $$(nproc) -n 4 clang-tidy --quiet -p .
	cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,performance,portability --inline-suppr --suppress=missingIncludeSystem \
		-Ilib -Isse-bridge -j $$(nproc) $(SHIPPED)
	shellcheck mopl scripts/*.sh docs/*.sh packaging/*.sh tests/*.sh tests/bench/*.sh

compile_commands.json: Makefile $(SOURCES) ## for editors and clang-tidy
	@for f in $(SOURCES); do printf '{"directory":"%s","file":"%s","command":"%s"},\n' '$(CURDIR)' $$f '$(CC) $(CFLAGS) $(VERSION_FLAGS) -c '$$f; done | \
		sed -e '1s/^/[/' -e '$$s/,$$/]/' >$@

# Benchmarks: ratios of one run on one machine, never a test. BENCH="p1 p10" chooses parts of tests/bench, SCALE=10 a tenth of the large set.
$(B)/tests/bench/live: $(B)/tests/bench/live_client.o
$(B)/tests/bench/%: $(B)/tests/bench/%.o $(B)/libmopl.a
	$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LIBS)

.PHONY: bench bench-events deps-bench
deps-bench: ## as deps-test, and what the benchmarks measure beside
	@scripts/install.sh bench
bench: deps-bench ## measure (tests/bench), print the table and write it into docs/benchmarks.md; 15 minutes, the first time 25
	@$(MAKE) --silent -j$$(nproc) build $(B)/tests/bench/{empty,fan,meter,pages,live,people,visit} $(CLIENT_MODULES)
	@SCALE=$(SCALE) tests/bench/run.sh $(BENCH)
	@[ -n "$(BENCH)" ] || $(MAKE) --silent bench-events
bench-events: build kafka $(B)/tests/bench/events ## measure how fast an event becomes a notification, on both engines of the bus
	@B=$(B) tests/bench/events.sh

include packaging/install.mk

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z_.-]+:.*## / { printf "  make %-22s %s\n", $$1, $$2 }' Makefile packaging/install.mk

-include $(shell find $(B) -name '*.d' 2>/dev/null)
