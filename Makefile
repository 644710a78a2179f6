# MOPL: build, run, test. `make help` lists the goals.
SHELL := /bin/bash
.DEFAULT_GOAL := build

# MODE=release (default) | san (ASan + UBSan) | cov is chosen by the goals that need it; each has its own folder under build/.
MODE ?= release
B := build/$(MODE)

PG_INC := $(shell pg_config --includedir 2>/dev/null)
WARN := -Wall -Wextra -Wpedantic -Werror -Wshadow -Wvla -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes -Wcast-qual
CFLAGS_release := -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
CFLAGS_san := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
LDFLAGS_release := -pie -Wl,-z,relro,-z,now
LDFLAGS_san := -fsanitize=address,undefined
CFLAGS := -std=c17 -D_GNU_SOURCE $(WARN) $(CFLAGS_$(MODE)) -iquote lib $(if $(PG_INC),-isystem $(PG_INC)) -MMD -MP
LDFLAGS := $(LDFLAGS_$(MODE))
LIBS := -lfcgi -lpq -lhiredis -ljson-c -ljwt -lcurl -lcrypto -lcrypt -lm

LIB_OBJ := $(patsubst %.c,$(B)/%.o,$(wildcard lib/*.c))
# endpoints/NAME.c and endpoints/NAME-*.c make the responder NAME.
RESPONDERS := $(filter-out %-%,$(basename $(notdir $(wildcard endpoints/*.c))))
TOOLS := $(basename $(notdir $(wildcard tools/*.c)))
SUPPORT_OBJ := $(patsubst %.c,$(B)/%.o,$(wildcard tests/support/*.c))
UNIT := $(basename $(notdir $(wildcard tests/unit/*.c)))
PROGRAMS := $(addprefix $(B)/bin/,$(RESPONDERS) $(TOOLS)) $(if $(wildcard batch/*.c),$(B)/bin/mopl-batch)

.PHONY: build
build: $(PROGRAMS) ## compile everything that runs

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(EXTRA_CFLAGS) -c $< -o $@

$(B)/libmopl.a: $(LIB_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

define responder_rule
$(B)/bin/$(1): $$(patsubst %.c,$(B)/%.o,$$(wildcard endpoints/$(1).c endpoints/$(1)-*.c)) $(B)/libmopl.a
	@mkdir -p $$(@D)
	$$(CC) $$(LDFLAGS) -o $$@ $$^ $$(LIBS)
endef
$(foreach r,$(RESPONDERS),$(eval $(call responder_rule,$(r))))

define tool_rule
$(B)/bin/$(1): $(B)/tools/$(1).o $(B)/libmopl.a
	@mkdir -p $$(@D)
	$$(CC) $$(LDFLAGS) -o $$@ $$^ $$(LIBS)
endef
$(foreach t,$(TOOLS),$(eval $(call tool_rule,$(t))))

$(B)/bin/mopl-batch: $(patsubst %.c,$(B)/%.o,$(wildcard batch/*.c)) $(B)/libmopl.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS)

# Criterion goes before the library: its main is to be found first, not the responders'.
$(B)/tests/unit/%: $(B)/tests/unit/%.o $(SUPPORT_OBJ) $(B)/libmopl.a
	$(CC) $(LDFLAGS) -o $@ $< -lcriterion $(filter-out $<,$^) $(LIBS)

.PHONY: unit
unit: $(addprefix $(B)/tests/unit/,$(UNIT)) ## compile the unit tests (run one alone: build/release/tests/unit/test_str)

-include $(shell find $(B) -name '*.d' 2>/dev/null)
