# GNU make. `make` builds, `make demo` shows the main job, `make check` tests; each installs what is missing.
# MODE=release|debug|asan|tsan|check chooses build/<mode>; tests want fault points, so `make check` takes its own. SPDX-License-Identifier: Apache-2.0
MODE ?= $(if $(filter check units slt fuzz conformance check-connectors outage,$(MAKECMDGOALS)),check,release)
O := build/$(MODE)
CC := $(if $(filter fuzz,$(MODE)),clang,gcc)
CXX := $(if $(filter fuzz,$(MODE)),clang++,g++)
PRODUCT_DEPS := build-essential pkg-config bison re2c libsimdjson-dev libutf8proc-dev libpcre2-dev libxxhash-dev libedit-dev
TEST_DEPS := libcmocka-dev python3 zstd
# Connectors that are modules, each with its library (a package of pkg-config), and what their tests start.
PKG.kafka := rdkafka
PKG.postgres := libpq
# Libraries that pkg-config does not know are found by their headers.
HEADER.websocket := wslay/wslay.h curl/curl.h openssl/ssl.h zlib.h
LIBS.websocket := -lwslay -lcurl -lssl -lcrypto -lz
CONNECTOR_DEPS := librdkafka-dev libpq-dev libwslay-dev libcurl4-openssl-dev libssl-dev zlib1g-dev
CONNECTOR_TEST_DEPS := postgresql-15 kcat maven default-jre-headless openssl python3-websockets chromium python3-venv
MODEL_DEPS := build-essential spin

# Packages come first, as this file is read: beside them nothing is built, however many jobs there are, and what is looked for below is
# there. NODEPS=1: they are there.
GOALS := $(filter-out deps clean rooms format install-headers,$(or $(MAKECMDGOALS),all))
NEEDS := $(if $(NODEPS),,$(if $(GOALS),$(PRODUCT_DEPS) $(CONNECTOR_DEPS)) $(if $(filter check units slt conformance bench unused check-connectors outage bench-connectors build/%,$(GOALS)),$(TEST_DEPS)) \
  $(if $(filter check-connectors bench-connectors outage,$(GOALS)),$(CONNECTOR_TEST_DEPS)) $(if $(filter models,$(GOALS)),$(MODEL_DEPS)))
ifneq ($(strip $(NEEDS)),)
ifneq ($(shell tools/deps.sh $(NEEDS) >&2 && echo there),there)
$(error Packages are missing: see above. NODEPS=1 goes on without them)
endif
endif

FLAGS.release := -O3 -g -DNDEBUG
FLAGS.check := -O2 -g -DLAM_FAULTS
FLAGS.cov := -O0 -g --coverage -DLAM_FAULTS
FLAGS.debug := -O0 -g3 -DLAM_FAULTS
FLAGS.asan := -O1 -g -DLAM_FAULTS -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
FLAGS.fuzz := $(FLAGS.asan) -fsanitize=fuzzer-no-link
FLAGS.tsan := -O1 -g -DLAM_FAULTS -DLAM_NOISE -fsanitize=thread
WARN := -Wall -Wextra -Wshadow -Wvla -Wformat=2 -Wimplicit-fallthrough $(WERROR)
CPPFLAGS += -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -Iinclude -Isrc -I$O/gen -MMD -MP
CFLAGS += -std=gnu17 $(WARN) -Wstrict-prototypes -Wmissing-prototypes -fno-common -fno-strict-aliasing -fvisibility=hidden -fPIC -pthread \
  -fstack-protector-strong $(FLAGS.$(MODE))
CXXFLAGS += -std=gnu++17 $(WARN) -fno-exceptions -fno-rtti -fvisibility=hidden -fPIC -pthread $(FLAGS.$(MODE))
LDLIBS += -lsimdjson -lutf8proc -lpcre2-8 -lm -lstdc++ -pthread

SRC := $(filter-out src/cli/%,$(wildcard src/*/*.c))
SHIM := $(wildcard src/*/shim/*.cc)
OBJ := $(SRC:%.c=$O/%.o) $(SHIM:%.cc=$O/%.o) $(if $(wildcard src/sql/grammar.y),$O/gen/sql_grammar.o) $(if $(wildcard src/sql/lexer.re),$O/gen/sql_lexer.o)
CLI := $(patsubst %.c,$O/%.o,$(wildcard src/cli/*.c))
TESTS := $(patsubst tests/unit/%.c,$O/tests/%,$(wildcard tests/unit/test_*.c))
KERNELS := $(patsubst bench/%.c,$O/bench/%,$(wildcard bench/bench_*.c))
NUMBERS := $(addprefix $O/bench/,gen_flights gen_bids bare_bids push latency change fanout wake idle half_load sinks peer_duckdb)
FLIGHTS ?= build/bench/flights.csv

found = $(shell $(if $(PKG.$1),pkg-config --exists $(PKG.$1),$(CC) -E $(addprefix -include ,$(HEADER.$1)) -x c /dev/null) >/dev/null 2>&1 && echo yes)
CONNECTORS := $(foreach m,$(notdir $(wildcard modules/*)),$(if $(call found,$m),$m))
FUZZ := $(patsubst tests/fuzz/%.c,$O/fuzz/%,$(filter-out $(foreach m,websocket kafka,$(if $(filter $m,$(CONNECTORS)),,$(wildcard tests/fuzz/fuzz_$m_*.c))),$(wildcard tests/fuzz/fuzz_*.c)))
.PHONY: all connectors check-connectors outage bench-connectors program lib docs units slt deps demo check bench bench-kernels fuzz sim models rooms unused format tidy acceptance install clean
.PRECIOUS: $O/%.o $O/gen/%.o $O/tests/unit/%.o $O/bench/obj/%.o $O/modules/%.so $O/fuzz/% $O/tests/% $O/bench/%
.DELETE_ON_ERROR:

all: program lib connectors
program: build/laminar
lib: build/lib/liblaminar.so build/lib/liblaminar.a

$O/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -c $< -o $@
$O/%.o: %.cc
	@mkdir -p $(@D)
	$(CXX) $(CPPFLAGS) $(CXXFLAGS) -c $< -o $@

# The grammar and the lexer; what they generate is never committed.
$O/gen/sql_grammar.c: src/sql/grammar.y
	@mkdir -p $(@D)
	bison -Wall -Wno-yacc -o $@ --header=$O/gen/sql_grammar.h $<
$O/gen/sql_lexer.c: src/sql/lexer.re $O/gen/sql_grammar.c
	@mkdir -p $(@D)
	re2c -W -i --no-generation-date -o $@ $<
$O/gen/%.o: $O/gen/%.c
	$(CC) $(CPPFLAGS) $(CFLAGS) -Wno-unused-function -c $< -o $@
$(patsubst %.c,$O/%.o,$(wildcard src/sql/*.c)): $(if $(wildcard src/sql/grammar.y),$O/gen/sql_grammar.c)

$O/lib/laminar.o: $(OBJ)
	@mkdir -p $(@D)
	ld -r -o $@ $^
	objcopy -w --keep-global-symbol='lam_*' $@
$O/lib/liblaminar.a: $O/lib/laminar.o
	rm -f $@ && ar rcs $@ $<
$O/lib/liblaminar.so: $(OBJ)
	@mkdir -p $(@D)
	$(CC) -shared $(FLAGS.$(MODE)) -Wl,-soname,liblaminar.so -Wl,-z,relro,-z,now -o $@ $^ $(LDLIBS)
$O/laminar: $(CLI) $O/lib/liblaminar.a
	$(CC) $(FLAGS.$(MODE)) -o $@ $^ $(LDLIBS) -ledit
# Modules know the public headers only. Those whose library is missing are left out.
define CONNECTOR
$O/modules/$1/%.o: modules/$1/%.c
	@mkdir -p $$(@D)
	$$(CC) -D_GNU_SOURCE -Iinclude $(if $(PKG.$1),$$(shell pkg-config --cflags $(PKG.$1))) -MMD -MP $$(CFLAGS) -c $$< -o $$@
$O/modules/$1.so: $(patsubst %.c,$O/%.o,$(wildcard modules/$1/*.c))
	$$(CC) -shared $$(FLAGS.$$(MODE)) -Wl,-z,relro,-z,now -o $$@ $$^ $(if $(PKG.$1),$$(shell pkg-config --libs $(PKG.$1)),$(LIBS.$1)) -pthread
endef
$(foreach m,$(CONNECTORS),$(eval $(call CONNECTOR,$m)))
connectors: $(CONNECTORS:%=build/modules/%.so)
build/modules/%.so: $O/modules/%.so
	@mkdir -p build/modules && cp -f $< $@
build/laminar: $O/laminar
	@mkdir -p build && cp -f $< $@
build/lib/%: $O/lib/%
	@mkdir -p build/lib && cp -f $< $@

# Tests see inside: they link the objects, not the library.
$O/inside.a: $(OBJ)
	rm -f $@ && ar rcs $@ $^
$O/tests/%: $O/tests/unit/%.o $O/inside.a
	@mkdir -p $(@D)
	$(CC) $(FLAGS.$(MODE)) -o $@ $^ $(LDLIBS) -lcmocka
# The runner of tests/sql sees the public API, the printer of values and a few hooks.
$O/slt: $(patsubst %.c,$O/%.o,$(wildcard tests/runner/*.c)) $(patsubst %,$O/src/cli/%.o,datum grid print) $O/inside.a
	$(CC) $(FLAGS.$(MODE)) -o $@ $^ $(LDLIBS)
slt: $O/slt
# Benches of kernels see inside; those of the whole program see what a user sees.
$(KERNELS): $O/bench/%: $O/bench/obj/%.o $O/bench/obj/json_bare.o $O/inside.a
	$(CC) $(FLAGS.$(MODE)) -o $@ $^ $(LDLIBS)
$O/bench/bare_bids: $O/bench/obj/json_bare.o
$O/bench/push: $O/bench/obj/flights.o $O/lib/liblaminar.a
$O/bench/latency $O/bench/change $O/bench/fanout $O/bench/idle $O/bench/half_load $O/bench/sinks: $O/lib/liblaminar.a
$O/bench/wake: $O/inside.a
$(NUMBERS): $O/bench/%: $O/bench/obj/%.o
	$(CC) $(FLAGS.$(MODE)) -o $@ $^ $(LDLIBS)
# The sink's own code beside its library.
WEBSOCKET_SERVER := $(patsubst %,$O/modules/websocket/%.o,action auth buffer client deflate guard handshake history json listener message queue segment server subscribe view wire)
$O/bench/websocket: bench/connectors/websocket.c $(WEBSOCKET_SERVER)
	@mkdir -p $(@D)
	$(CC) -D_GNU_SOURCE -Iinclude $(CFLAGS) -o $@ $^ $(LIBS.websocket)
# The source from outside, beside its libraries.
$O/bench/websocket_source: bench/connectors/websocket_source.c $O/lib/liblaminar.a
	@mkdir -p $(@D)
	$(CC) -D_GNU_SOURCE -Iinclude $(CFLAGS) -o $@ $^ $(LDLIBS) $(LIBS.websocket)
# Targets of `make fuzz` are searched by libFuzzer, all others by tests/fuzz/main.c.
$O/fuzz/%: $O/tests/fuzz/%.o $(if $(filter fuzz,$(MODE)),,$O/tests/fuzz/main.o) $O/inside.a
	@mkdir -p $(@D)
	$(CC) $(FLAGS.$(MODE)) $(if $(filter fuzz,$(MODE)),-fsanitize=fuzzer) -o $@ $^ $(LDLIBS)
# Those of a module link its objects.
$O/fuzz/fuzz_websocket_request: $(patsubst %,$O/modules/websocket/%.o,action handshake json)
$O/fuzz/fuzz_websocket_action: $(patsubst %,$O/modules/websocket/%.o,action json)
$O/fuzz/fuzz_websocket_frames: $(WEBSOCKET_SERVER)
$O/fuzz/fuzz_websocket_answer: $O/modules/websocket/answer.o
$O/fuzz/fuzz_websocket_peer: $(patsubst %,$O/modules/websocket/%.o,buffer deflate inbox peer segment)
$O/fuzz/fuzz_websocket_frames $O/fuzz/fuzz_websocket_peer: LDLIBS += $(LIBS.websocket)
$O/fuzz/fuzz_kafka_headers: $O/modules/kafka/headers.o
$O/fuzz/fuzz_kafka_headers: LDLIBS += $(shell pkg-config --libs rdkafka 2>/dev/null)
# Connectors beside their libraries alone; each starts its server.
define CONNECTOR_BENCH
$O/bench/$1: bench/connectors/$1.c $O/lib/liblaminar.a
	@mkdir -p $$(@D)
	$$(CC) -D_GNU_SOURCE -Iinclude -Ibench $$(shell pkg-config --cflags $(PKG.$1)) $$(CFLAGS) -o $$@ $$^ $$(LDLIBS) $$(shell pkg-config --libs $(PKG.$1)) -ldl
endef
PEERED := $(filter $(CONNECTORS),$(basename $(notdir $(wildcard bench/connectors/*.py))))
$(foreach m,$(PEERED),$(eval $(call CONNECTOR_BENCH,$m)))
bench-connectors: $O/laminar $(CONNECTORS:%=$O/modules/%.so) $(PEERED:%=$O/bench/%)
	@for c in $(PEERED); do bench/connectors/$$c.py $O || exit; done
$O/tests/unit/%.o: tests/unit/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -Itests -UNDEBUG -c $< -o $@
$O/bench/obj/%.o: bench/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -Ibench -c $< -o $@
$O/bench/obj/%.o: bench/%.cc
	@mkdir -p $(@D)
	$(CXX) $(CPPFLAGS) $(CXXFLAGS) -Ibench -c $< -o $@
units: $(TESTS)
# docs/connectors.md out of the option tables, docs/metrics.md out of the table of metrics.
$O/options_doc $O/metrics_doc: $O/%: $O/tools/%.o $O/inside.a
	$(CC) $(FLAGS.$(MODE)) -o $@ $^ $(LDLIBS)
docs: $(CONNECTORS:%=$O/modules/%.so) $O/options_doc $O/metrics_doc
	$O/options_doc >docs/connectors.md
	@for m in $(CONNECTORS); do grep -q '^## Options$$' docs/$$m.md || continue; { sed '/^## Options$$/q' docs/$$m.md; echo; $O/options_doc $O/modules/$$m.so | awk -f tools/tables.awk; } >$O/page.md; cp $O/page.md docs/$$m.md; done
	$O/metrics_doc >docs/metrics.md
# Connectors outside the tree, compiled as an outsider would: against the headers as they are installed.
MODULES := $(patsubst tests/module/%.c,$O/modules/%.so,$(wildcard tests/module/*.c))
$O/stage/usr/local/include/%.h: include/%.h
	@$(MAKE) -s install-headers NODEPS=1 MODE=$(MODE) DESTDIR=$O/stage
$O/modules/%.so: tests/module/%.c tests/module/Makefile $O/stage/usr/local/include/laminar_connector.h $O/stage/usr/local/include/laminar.h
	@$(MAKE) -s -C tests/module INCLUDE=$(abspath $O/stage)/usr/local/include O=$(abspath $(@D)) CFLAGS="-Wall -Wextra -Werror $(FLAGS.$(MODE))" $(abspath $@)
modules: $(MODULES)
# Calls of a sink by hand, for the tests of connectors.
$O/drive: $O/tests/connectors/drive.o $O/inside.a
	$(CC) $(FLAGS.$(MODE)) -o $@ $^ $(LDLIBS)
# All that is said of a script, for the test of secrets.
$O/tell: $O/tests/connectors/tell.o $(patsubst %,$O/src/cli/%.o,datum grid print) $O/lib/liblaminar.a
	$(CC) $(FLAGS.$(MODE)) -o $@ $^ $(LDLIBS)
# Brokers that fail as they are told.
$O/kafka_mock: tests/connectors/kafka_mock.c
	$(CC) $(CFLAGS) $(shell pkg-config --cflags rdkafka) -o $@ $< $(shell pkg-config --libs rdkafka)
# What every source and sink passes.
$O/conformance: $(patsubst %.c,$O/%.o,$(wildcard tests/conformance/*.c)) $O/inside.a | $(MODULES)
	$(CC) $(FLAGS.$(MODE)) -o $@ $^ $(LDLIBS)
conformance: $O/conformance
	$<
# What programs that embed the library do: built with its header and archive only.
EXAMPLES := embed subscribe resume
$(EXAMPLES:%=$O/%): $O/%: examples/embed/%.c include/laminar.h $O/lib/liblaminar.a
	$(CC) -Wall -Wextra -Iinclude $(FLAGS.$(MODE)) -o $@ $< $O/lib/liblaminar.a $(LDLIBS)

# FLIGHTS=path takes another file of flights than the one made up here.
build/bench/flights.csv: $O/bench/gen_flights
	@mkdir -p $(@D)
	$< > $@
build/bench/bids.jsonl: $O/bench/gen_bids
	@mkdir -p $(@D)
	$< > $@
bench: program lib $(NUMBERS) $(FLIGHTS) build/bench/bids.jsonl
	@bench/peer.sh build/peer
	@bench/figures.py --bin $O/bench --laminar build/laminar --library build/lib/liblaminar.so --flights $(FLIGHTS) \
	  --bids build/bench/bids.jsonl --peer build/peer/libduckdb.so --out build/bench $(PART)
bench-kernels: $(KERNELS)
	@for b in $(KERNELS); do taskset -c 0 $$b || exit; done

# What make check runs: conformance, which mostly waits, beside the rest: the units, a little fuzzing, the program from outside, the SQL files and the pages of documentation,
# the pages made of tables and the examples of embedding.
check: $(TESTS) $(FUZZ) $O/slt $O/laminar $O/options_doc $O/metrics_doc $(EXAMPLES:%=$O/%) $O/conformance
	@failed=0; $O/conformance >$O/conformance.out 2>$O/conformance.log & conformance=$$!; \
	for t in $(TESTS); do $$t >$$t.log 2>&1 || { failed=1; echo "FAILED $$t"; tail -20 $$t.log; }; done; \
	$(MAKE) -s fuzz MODE=$(MODE) NODEPS=1 N=500 >$O/fuzz.log 2>&1 || { failed=1; tail -20 $O/fuzz.log; }; \
	$O/options_doc | diff -u docs/connectors.md - || { failed=1; echo "docs/connectors.md is out of date: make docs"; }; \
	$O/metrics_doc | diff -u docs/metrics.md - || { failed=1; echo "docs/metrics.md is out of date: make docs"; }; \
	for e in $(EXAMPLES); do $O/$$e | diff -u examples/embed/$$e.txt - || { failed=1; echo "FAILED examples/embed/$$e"; }; done; \
	wait $$conformance && cat $O/conformance.out || { failed=1; grep -E 'FAILED|failed$$' $O/conformance.log || tail -1 $O/conformance.log; }; \
	tests/cli/modules.sh $O/laminar $O/modules $O/options_doc || failed=1; \
	tests/module/tutorial.sh $O/laminar $O/stage/usr/local/include || { failed=1; echo "FAILED docs/writing_connectors.md"; }; \
	tests/cli/run.sh $O/laminar || failed=1; \
	tests/cli/bad_input.sh $O/laminar || failed=1; \
	tests/cli/terminal.py $O/laminar || failed=1; \
	$O/slt tests/sql $(wildcard README.md docs/*.md) || failed=1; exit $$failed

# Connectors against the systems they are for, each started by its test; one that is not installed is named and left out.
check-connectors: $O/laminar $O/drive $O/tell $O/conformance $O/options_doc $(CONNECTORS:%=$O/modules/%.so) $(if $(filter kafka,$(CONNECTORS)),$O/kafka_mock)
	@failed=0; for t in $(wildcard tests/connectors/*.py tests/connectors/*.sh); do [ ! -x $$t ] || $$t $O || failed=1; done; exit $$failed

# Two minutes without a broker; the ledger is tests/kafka.md.
outage: $O/laminar $O/options_doc $O/modules/kafka.so
	@OUTAGE=$(or $(SECONDS),120) tests/connectors/kafka.py $O outage

# Ten seconds of made-up trades: bars and a score per account, live.
demo: program
	@build/laminar run examples/market/market.sql --live bars,wash_score

# Worked examples with known answers from a folder beside the tree, or make acceptance ACCEPTANCE=folder
ACCEPTANCE ?= ../shared/acceptance
acceptance: program
	@tests/acceptance/run.py $(ACCEPTANCE)

# Every fuzz target over its seeds, then N mutations of them: make fuzz MODE=asan N=1000000 SEED=7
fuzz: $(FUZZ)
	@for f in $(FUZZ); do echo $$f; $$f $$(ls -d tests/fuzz/corpus/$${f##*/fuzz_} tests/$${f##*/fuzz_}_corpus 2>/dev/null) -n $(or $(N),20000) -s $(or $(SEED),1) || exit; done

format:
	clang-format -i $(wildcard src/*/*.[ch] include/*.h tests/*/*.[ch] bench/*.[ch])
tidy:
	clang-tidy --quiet $(wildcard src/*/*.c) -- $(filter-out -MMD -MP,$(CPPFLAGS)) -std=gnu17

# Everything, for the program, its tests and its models.
deps:
	@tools/deps.sh $(PRODUCT_DEPS) $(CONNECTOR_DEPS) $(TEST_DEPS) $(CONNECTOR_TEST_DEPS) $(MODEL_DEPS)

# The Spin models of gate and ring, and their broken variants, which must fail.
models:
	@tools/models.sh build/models

# Random scripts on a simulated machine against a model: more of what test_sim does in check; the ledger is tests/sim.md.
SEEDS ?= 20000
sim:
	@$(MAKE) --no-print-directory NODEPS=1 MODE=release build/release/tests/test_sim
	@SEEDS=$(SEEDS) build/release/tests/test_sim

# The include graph between rooms; fails on an edge that points up.
rooms:
	@tools/rooms.sh

# Functions that no test runs: the tests of a build that counts.
unused:
	$(MAKE) MODE=cov check
	@tools/unused.py build/cov

PREFIX ?= /usr/local
install-headers:
	install -d $(DESTDIR)$(PREFIX)/include
	install -m 644 include/laminar.h include/laminar_connector.h $(DESTDIR)$(PREFIX)/include/
install: program lib connectors install-headers
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/lib/laminar/modules
	install build/laminar $(DESTDIR)$(PREFIX)/bin/
	install -m 644 build/lib/liblaminar.so build/lib/liblaminar.a $(DESTDIR)$(PREFIX)/lib/
	$(if $(CONNECTORS),install -m 644 $(CONNECTORS:%=build/modules/%.so) $(DESTDIR)$(PREFIX)/lib/laminar/modules/)
	sed 's,@PREFIX@,$(PREFIX),; s,@LIBS@,$(LDLIBS),' laminar.pc.in >$(DESTDIR)$(PREFIX)/lib/pkgconfig/laminar.pc

clean:
	rm -rf build

-include $(shell find $O -name '*.d' 2>/dev/null)
