# make              ./sparp, and the header compiled once as a check
# make demo         2,000 requests to a server of its own, with the progress bar
# make test         everything (installs what is missing; needs no network but loopback)
#                   ONLY=test_url: one step; CASE=test_ipv6*: of it one case (see tests/run.sh)
# make fuzz         random input for FUZZ_SECONDS=60 to each target of tests/fuzz/ (clang)
# make bench        sparp beside wrk, libcurl and others (installs them), tables and graphs; FULL=1:
#                   all of it, and README's share of it anew
# make examples     the programs of examples/, into build/examples/
# make static       build/static/sparp: one file with musl and TLS, for small Linux machines
#                   (static-aarch64, static-armhf: for those, build/static/sparp-ARCH)
# make install      PREFIX=/usr/local DESTDIR= BINDIR= INCLUDEDIR= LIBDIR=
# make clean

CC ?= cc
CFLAGS ?= -O2
PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
INCLUDEDIR ?= $(PREFIX)/include
LIBDIR ?= $(PREFIX)/lib
LIBS = $$(sh tools/tls.sh) -lpthread $(LDLIBS)
COMPILE = $(CC) -I. $(CPPFLAGS) $(CFLAGS)

all: sparp build/sparp.o

sparp: tools/sparp.c tools/sparp/*.h sparp.h
	$(COMPILE) $(LDFLAGS) -o $@ tools/sparp.c $(LIBS)

build/sparp.o: tests/compile/sparp.c sparp.h
	@mkdir -p build
	$(COMPILE) -std=c99 -Wall -Wextra -Wpedantic -c -o $@ tests/compile/sparp.c $$(sh tools/tls.sh)

build/plain: tests/server/plain.c tests/server/listen.h
	@mkdir -p build
	$(COMPILE) $(LDFLAGS) -o $@ tests/server/plain.c $(LIBS)

build/rude: tests/server/rude.c tests/server/listen.h
	@mkdir -p build
	$(COMPILE) $(LDFLAGS) -o $@ tests/server/rude.c $(LIBS)

build/peak: tests/e2e/peak.c
	@mkdir -p build
	$(COMPILE) $(LDFLAGS) -o $@ tests/e2e/peak.c

demo:
	@sh tools/need.sh build
	@$(MAKE) -s sparp build/plain
	@sh tests/demo.sh

check: test
test:
	@CC="$(CC)" MAKE="$(MAKE)" ONLY="$(ONLY)" CASE="$(CASE)" sh tests/run.sh

fuzz:
	@FUZZ_SECONDS="$(FUZZ_SECONDS)" sh tests/fuzz/run.sh

bench:
	@sh tools/need.sh bench
	@CC="$(CC)" CFLAGS="$(CFLAGS)" FULL="$(FULL)" sh tests/bench/bench.sh

examples: sparp.h
	@mkdir -p build/examples
	@for file in examples/*.c; do \
	    name=$$(basename "$$file" .c); \
	    echo "$(CC) -o build/examples/$$name $$file"; \
	    $(COMPILE) $(LDFLAGS) -o "build/examples/$$name" "$$file" $(LIBS) || exit 1; \
	done

static: build/static/sparp
static-aarch64: build/static/sparp-aarch64
static-armhf: build/static/sparp-armhf

build/static/sparp: tools/sparp.c tools/sparp/*.h sparp.h tools/static.sh
	@MAKE="$(MAKE)" sh tools/static.sh

build/static/sparp-aarch64 build/static/sparp-armhf: tools/sparp.c tools/sparp/*.h sparp.h \
    tools/static.sh
	@MAKE="$(MAKE)" sh tools/static.sh "$$(echo $@ | sed 's/.*-//')"

build/sparp.pc: tools/sparp.pc.in sparp.h
	@mkdir -p build
	@version=$$(sed -n 's/^#define SPARP_VERSION_STRING "\(.*\)"/\1/p' sparp.h) && \
	sed -e "s|@VERSION@|$$version|" -e 's|@PREFIX@|$(PREFIX)|' \
	    -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' tools/sparp.pc.in > $@

install: sparp
	@rm -f build/sparp.pc
	@$(MAKE) -s build/sparp.pc PREFIX="$(PREFIX)" INCLUDEDIR="$(INCLUDEDIR)"
	mkdir -p "$(DESTDIR)$(BINDIR)" "$(DESTDIR)$(INCLUDEDIR)" "$(DESTDIR)$(LIBDIR)/pkgconfig"
	cp sparp "$(DESTDIR)$(BINDIR)/sparp"
	chmod 755 "$(DESTDIR)$(BINDIR)/sparp"
	cp sparp.h "$(DESTDIR)$(INCLUDEDIR)/sparp.h"
	chmod 644 "$(DESTDIR)$(INCLUDEDIR)/sparp.h"
	cp build/sparp.pc "$(DESTDIR)$(LIBDIR)/pkgconfig/sparp.pc"
	chmod 644 "$(DESTDIR)$(LIBDIR)/pkgconfig/sparp.pc"

uninstall:
	rm -f "$(DESTDIR)$(BINDIR)/sparp" "$(DESTDIR)$(INCLUDEDIR)/sparp.h" \
	    "$(DESTDIR)$(LIBDIR)/pkgconfig/sparp.pc"

clean:
	rm -rf build sparp

.PHONY: all demo test check fuzz bench examples static static-aarch64 static-armhf \
    install uninstall clean
