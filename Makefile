# make              ./sparp, and the header compiled once as a check
# make demo         2,000 requests to a server of its own, with the progress bar
# make server       the server of README's examples, on http://127.0.0.1:8080, until Ctrl-C
# make test         everything (installs what is missing; needs no network but loopback)
#                   ONLY=test_url: one step; CASE=test_ipv6*: of it one case (see tests/run.sh)
# make soak         the long forms of tests, engines that run many, other machines; 40 minutes
# make lint         the rules of the house, and the largest sections, structs and functions
# make fuzz         random input for FUZZ_SECONDS=60 to each target of tests/fuzz/ (clang)
# make bench        sparp beside wrk, libcurl and others (installs them), tables and graphs; FULL=1:
#                   all of it, and README's share of it anew
# make picture      README's picture of a run, made of one in a terminal (tmux)
# make sizes        how large sparp is, by machine and options: a table, README's too
# make examples     the programs of examples/, into build/examples/
# make shared       build/shared/libsparp.so, for bindings, with a versioned soname
# make static       build/static/sparp: one file with musl and TLS, for small Linux machines
#                   (static-aarch64, -armhf, -i386, -mips, -riscv64: build/static/sparp-ARCH;
#                   static-pie: loaded wherever the kernel likes)
# make dist         build/sparp-VERSION.tar.gz, of the last commit
# make recipes      build/recipes: for Debian, Alpine, OpenWrt, Homebrew, Nix, vcpkg, Conan; URL=
#                   is where that file will lie
# make install      PREFIX=/usr/local DESTDIR= BINDIR= INCLUDEDIR= LIBDIR= DATADIR= MANDIR= and
#                   BASHDIR= ZSHDIR= FISHDIR=, where the shells look for completions
# make clean
#
# TLS=no builds without BearSSL, ZLIB=no without zlib; CC=arm-linux-gnueabihf-gcc for another machine.

CC ?= cc
CFLAGS ?= -O2
PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
INCLUDEDIR ?= $(PREFIX)/include
LIBDIR ?= $(PREFIX)/lib
DATADIR ?= $(PREFIX)/share
MANDIR ?= $(DATADIR)/man
BASHDIR ?= $(DATADIR)/bash-completion/completions
ZSHDIR ?= $(DATADIR)/zsh/site-functions
FISHDIR ?= $(DATADIR)/fish/vendor_completions.d
COMMIT = HEAD
OUTPUT = build
URL = https://sparp.example
LIBS = $$(sh tools/tls.sh) -lpthread $(LDLIBS)
COMPILE = $(CC) -I. $(CPPFLAGS) $(CFLAGS)

all: sparp build/sparp.o

# Changes when the flags do, so that `make TLS=no` after `make` builds again.
build/flags: always
	@mkdir -p build
	@echo "$(COMPILE) $(LDFLAGS) $(LIBS)" >$@.new
	@cmp -s $@ $@.new || cp $@.new $@

sparp: tools/sparp.c tools/sparp/*.h sparp.h build/flags
	$(COMPILE) $(LDFLAGS) -o $@ tools/sparp.c $(LIBS)

build/sparp.o: tests/compile/sparp.c sparp.h build/flags
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

server:
	@sh tools/need.sh build
	@$(MAKE) -s build/plain
	@echo 'http://127.0.0.1:8080, until Ctrl-C'
	@build/plain --port 8080 --max-seconds 864000 >build/server.log

check: test
test:
	@CC="$(CC)" MAKE="$(MAKE)" ONLY="$(ONLY)" CASE="$(CASE)" sh tests/run.sh

.PHONY: soak
soak:
	@CC="$(CC)" MAKE="$(MAKE)" ONLY="$(ONLY)" sh tests/soak.sh

lint:
	@sh tests/lint.sh

fuzz:
	@FUZZ_SECONDS="$(FUZZ_SECONDS)" sh tests/fuzz/run.sh

bench:
	@sh tools/need.sh bench
	@CC="$(CC)" CFLAGS="$(CFLAGS)" FULL="$(FULL)" sh tests/bench/bench.sh

picture:
	@$(MAKE) -s sparp build/plain
	@sh tests/bench/picture.sh

sizes:
	@MAKE="$(MAKE)" sh tests/bench/sizes.sh

examples: sparp.h
	@mkdir -p build/examples
	@libs="$(LIBS)" && for file in examples/*.c; do \
	    name=$$(basename "$$file" .c); \
	    loop=$$(CC="$(CC)" sh tools/loop.sh "$$file") || { echo "$$loop"; continue; }; \
	    set -- $(COMPILE) $(LDFLAGS) -o "build/examples/$$name" "$$file" $$loop $$libs; \
	    echo "$$*" && "$$@" || exit 1; \
	done

shared:
	@CC="$(CC)" CPPFLAGS="$(CPPFLAGS)" CFLAGS="$(CFLAGS)" LDFLAGS="$(LDFLAGS)" \
	    LDLIBS="$(LDLIBS)" sh tools/shared.sh

static:
	@MAKE="$(MAKE)" sh tools/static.sh

static-aarch64 static-armhf static-i386 static-mips static-riscv64 static-pie:
	@MAKE="$(MAKE)" sh tools/static.sh "$$(echo $@ | sed 's/.*-//')"

# What pkg-config and CMake are told: written anew each time, as PREFIX may be another.
build/sparp.pc: always
	@CC="$(CC)" CPPFLAGS="$(CPPFLAGS)" CFLAGS="$(CFLAGS)" LDFLAGS="$(LDFLAGS)" \
	    PREFIX="$(PREFIX)" INCLUDEDIR="$(INCLUDEDIR)" sh tools/config.sh

# The manual page and the completions, of the table of flags.
PAGES = build/sparp.1 build/sparp.bash build/sparp.zsh build/sparp.fish
TABLE = tools/options.awk tools/sparp/options.h

build/sparp.1: $(TABLE) tools/sparp.1
	@mkdir -p build
	@awk -v form=man -f $(TABLE) tools/sparp.1 >$@

build/sparp.bash build/sparp.zsh build/sparp.fish: $(TABLE)
	@mkdir -p build
	@form=$@ && awk -v form="$${form##*.}" -f $(TABLE) >$@

install: sparp build/sparp.pc $(PAGES)
	mkdir -p "$(DESTDIR)$(BINDIR)" "$(DESTDIR)$(INCLUDEDIR)" \
	    "$(DESTDIR)$(LIBDIR)/pkgconfig" "$(DESTDIR)$(LIBDIR)/cmake/sparp"
	cp sparp "$(DESTDIR)$(BINDIR)/sparp"
	chmod 755 "$(DESTDIR)$(BINDIR)/sparp"
	cp sparp.h "$(DESTDIR)$(INCLUDEDIR)/sparp.h"
	chmod 644 "$(DESTDIR)$(INCLUDEDIR)/sparp.h"
	cp build/sparp.pc "$(DESTDIR)$(LIBDIR)/pkgconfig/sparp.pc"
	chmod 644 "$(DESTDIR)$(LIBDIR)/pkgconfig/sparp.pc"
	cp build/sparp-config.cmake build/sparp-config-version.cmake \
	    "$(DESTDIR)$(LIBDIR)/cmake/sparp"
	chmod 644 "$(DESTDIR)$(LIBDIR)/cmake/sparp/"*.cmake
	mkdir -p "$(DESTDIR)$(MANDIR)/man1" "$(DESTDIR)$(BASHDIR)" "$(DESTDIR)$(ZSHDIR)" \
	    "$(DESTDIR)$(FISHDIR)"
	cp build/sparp.1 "$(DESTDIR)$(MANDIR)/man1/sparp.1"
	cp build/sparp.bash "$(DESTDIR)$(BASHDIR)/sparp"
	cp build/sparp.zsh "$(DESTDIR)$(ZSHDIR)/_sparp"
	cp build/sparp.fish "$(DESTDIR)$(FISHDIR)/sparp.fish"
	chmod 644 "$(DESTDIR)$(MANDIR)/man1/sparp.1" "$(DESTDIR)$(BASHDIR)/sparp" \
	    "$(DESTDIR)$(ZSHDIR)/_sparp" "$(DESTDIR)$(FISHDIR)/sparp.fish"

uninstall:
	rm -f "$(DESTDIR)$(BINDIR)/sparp" "$(DESTDIR)$(INCLUDEDIR)/sparp.h" \
	    "$(DESTDIR)$(LIBDIR)/pkgconfig/sparp.pc" \
	    "$(DESTDIR)$(LIBDIR)/cmake/sparp/sparp-config.cmake" \
	    "$(DESTDIR)$(LIBDIR)/cmake/sparp/sparp-config-version.cmake" \
	    "$(DESTDIR)$(MANDIR)/man1/sparp.1" "$(DESTDIR)$(BASHDIR)/sparp" \
	    "$(DESTDIR)$(ZSHDIR)/_sparp" "$(DESTDIR)$(FISHDIR)/sparp.fish"

# The last commit as one file, the same bytes each time.
dist:
	@mkdir -p "$(OUTPUT)"
	@name=sparp-$$(sed -n 's/^#define SPARP_VERSION_STRING "\(.*\)"/\1/p' sparp.h) && \
	git archive --prefix="$$name/" $(COMMIT) | gzip -9n >"$(OUTPUT)/$$name.tar.gz" && \
	echo "$(OUTPUT)/$$name.tar.gz"

# ... and the recipes of tools/packaging for it.
recipes: dist
	@URL="$(URL)" sh tools/packaging/fill.sh

clean:
	rm -rf build sparp

.PHONY: all demo server test check lint fuzz bench picture sizes examples shared static \
    static-aarch64 static-armhf static-i386 static-mips static-riscv64 static-pie install \
    uninstall dist recipes clean always
