#!/bin/sh
# Installs what is missing, then returns:   tools/need.sh build|static[-ARCH]|test|soak|fuzz|bench
#   build   a C compiler and make
#   static  also musl-gcc, or the cross compiler of an ARCH: aarch64, armhf, i386,
#           mips, riscv64
#   test    also what the tests use; without an optional tool its step is skipped, visibly
#   soak    test, and the cross compilers and the C libraries of other machines
#   fuzz    clang with libFuzzer
#   bench   what the benchmark uses, and is compared with; likewise
# SPARP_INSTALL=no: only looks.
set -u

# What has to be there (a command, a header, a module of Python, a runtime, a file), and the
# packages of apt, apk, dnf, brew and pkg ("-": none). The optional ones begin with "?".
list() {
    cat <<'LIST'
cmd:cc            gcc,libc6-dev      build-base     gcc                -               -
cmd:make          make               make           make               -               -
?hdr:bearssl.h    libbearssl-dev     bearssl-dev    -                  bearssl         bearssl
?hdr:openssl/ssl.h libssl-dev       openssl-dev    openssl-devel      -               -
?hdr:zlib.h       zlib1g-dev         zlib-dev       zlib-devel         -               -
LIST
    list_static "$1"
    case $1 in
        test)  list_test ;;
        soak)  list_test && list_soak ;;
        fuzz)  list_fuzz ;;
        bench) list_bench ;;
    esac
}

list_test() {
    cat <<'LIST'
hdr:cmocka.h      libcmocka-dev      cmocka-dev     libcmocka-devel    cmocka          cmocka
hdr:json-c/json.h libjson-c-dev      json-c-dev     json-c-devel       json-c          json-c
cmd:jq            jq                 jq             jq                 jq              jq
cmd:curl          curl               curl           curl               curl            curl
?cmd:openssl      openssl            openssl        openssl            openssl@3       openssl
cmd:timeout       coreutils          coreutils      coreutils          coreutils       -
?cmd:g++          g++                g++            gcc-c++            -               -
?cmd:clang        clang              clang          clang              -               -
?rt:clang         clang-rt           compiler-rt    compiler-rt        -               -
?cmd:clang-16     clang-16           -              -                  -               -
?hdr:uv.h         libuv1-dev         libuv-dev      libuv-devel        libuv           libuv
?hdr:ev.h         libev-dev          libev-dev      libev-devel        libev           libev
?cmd:tcc          tcc                tcc            tcc                -               tinycc
?cmd:valgrind     valgrind           valgrind       valgrind           -               valgrind
?cmd:git          git                git            git                git             git
?cmd:ctags        universal-ctags    ctags          ctags              universal-ctags ctags
?cmd:shellcheck   shellcheck         shellcheck     ShellCheck         shellcheck      hs-ShellCheck
?cmd:codespell    codespell          codespell      codespell          codespell       codespell
?cmd:cmake        cmake              cmake          cmake              cmake           cmake
?cmd:meson        meson,pkgconf      meson          meson              meson           meson
?cmd:dh           debhelper          -              -                  -               -
?cmd:lintian      lintian            -              -                  -               -
?cmd:ruby         ruby               ruby           ruby               -               ruby
?cmd:nix-instantiate nix-bin         -              -                  -               -
?cmd:mandoc       mandoc             mandoc         -                  mandoc         -
?cmd:zsh          zsh                zsh            zsh                zsh            zsh
?cmd:fish         fish               fish           fish               fish           fish
?cmd:sqlite3      sqlite3            sqlite         sqlite             sqlite         sqlite3
?cmd:tmux         tmux               tmux           tmux               tmux            tmux
?cmd:gnutls-serv  gnutls-bin         gnutls-utils   gnutls-utils       gnutls          gnutls
?cmd:nginx        nginx-light        nginx          nginx              nginx           nginx
?cmd:redis-server redis-server       redis          redis              redis           redis
?cmd:apache2      apache2-bin        -              -                  -               -
?cmd:lighttpd     lighttpd           lighttpd       lighttpd           lighttpd        lighttpd
?cmd:squid        squid              squid          squid              squid           squid
?cmd:tinyproxy    tinyproxy-bin      tinyproxy      tinyproxy          tinyproxy       tinyproxy
?cmd:haproxy      haproxy            haproxy        haproxy            haproxy         haproxy
?cmd:python3      python3            python3        python3            -               python3
?cmd:node         nodejs             nodejs         nodejs             node            node
?cmd:parallel     parallel           parallel       parallel           parallel       parallel
?cmd:slurmctld    slurm-wlm          -              -                  -              -
?py:yaml          python3-yaml       py3-yaml       python3-pyyaml     -              -
?cmd:xmllint      libxml2-utils      libxml2-utils  libxml2            -               libxml2
?cmd:tidy         tidy               tidyhtml       tidy               tidy-html5      tidy-html5
?py:html5lib      python3-html5lib   py3-html5lib   python3-html5lib   -               -
?cmd:chromium     chromium           chromium       chromium           -               chromium
?py:httpbin       python3-httpbin    -              -                  -               -
?py:gunicorn      python3-gunicorn   py3-gunicorn   python3-gunicorn   -               -
?py:jsonschema    python3-jsonschema py3-jsonschema python3-jsonschema -               -
LIST
}

list_soak() {
    cat <<'LIST'
?cmd:aarch64-linux-gnu-gcc   gcc-aarch64-linux-gnu   - - - -
?cmd:arm-linux-gnueabihf-gcc gcc-arm-linux-gnueabihf - - - -
?cmd:i686-linux-gnu-gcc      gcc-i686-linux-gnu      - - - -
?cmd:mips-linux-gnu-gcc      gcc-mips-linux-gnu      - - - -
?cmd:riscv64-linux-gnu-gcc   gcc-riscv64-linux-gnu   - - - -
?cmd:s390x-linux-gnu-gcc     gcc-s390x-linux-gnu     - - - -
?file:/usr/aarch64-linux-gnu/include/stdio.h   libc6-dev-arm64-cross   - - - -
?file:/usr/arm-linux-gnueabihf/include/stdio.h libc6-dev-armhf-cross   - - - -
?file:/usr/i686-linux-gnu/include/stdio.h      libc6-dev-i386-cross    - - - -
?file:/usr/mips-linux-gnu/include/stdio.h      libc6-dev-mips-cross    - - - -
?file:/usr/riscv64-linux-gnu/include/stdio.h   libc6-dev-riscv64-cross - - - -
?file:/usr/s390x-linux-gnu/include/stdio.h     libc6-dev-s390x-cross   - - - -
LIST
}

list_fuzz() {
    cat <<'LIST'
hdr:cmocka.h      libcmocka-dev      cmocka-dev     libcmocka-devel    cmocka          cmocka
cmd:clang         clang              clang          clang              -               -
?rt:clang         clang-rt           compiler-rt    compiler-rt        -               -
LIST
}

list_bench() {
    cat <<'LIST'
?hdr:bearssl.h    libbearssl-dev     bearssl-dev    bearssl-devel      -               bearssl
?cmd:nginx        nginx-light        nginx          nginx              nginx           nginx
?cmd:curl         curl               curl           curl               curl            curl
?cmd:openssl      openssl            openssl        openssl            openssl         -
?cmd:wrk          wrk                wrk            -                  wrk             wrk
?cmd:h2load       nghttp2-client     nghttp2        nghttp2            nghttp2         nghttp2
?cmd:curl-config  libcurl4-openssl-dev curl-dev     libcurl-devel      curl            curl
?hdr:openssl/ssl.h libssl-dev        openssl-dev    openssl-devel      -               -
?py:aiohttp       python3-aiohttp    py3-aiohttp    python3-aiohttp    -               -
?cmd:strace       strace             strace         strace             -               -
?cmd:valgrind     valgrind           valgrind       valgrind           -               valgrind
LIST
}

# The first column: for which of the arguments it is.
list_static() {
    while read -r group row; do
        case $1:$group in
            test:static-i386|test:static-mips|test:static-riscv64) ;;
            test:*|soak:*|static:native|static*:static|"$1:$1") echo "$row" ;;
        esac
    done <<'LIST'
static         ?cmd:dpkg-source             dpkg-dev                - -                         - -
native         ?cmd:musl-gcc                musl-tools              - musl-gcc,musl-libc-static - -
static-aarch64 ?cmd:aarch64-linux-gnu-gcc   gcc-aarch64-linux-gnu   - -                         - -
static-armhf   ?cmd:arm-linux-gnueabihf-gcc gcc-arm-linux-gnueabihf - -                         - -
static-i386    ?cmd:i686-linux-gnu-gcc      gcc-i686-linux-gnu      - -                         - -
static-mips    ?cmd:mips-linux-gnu-gcc      gcc-mips-linux-gnu      - -                         - -
static-riscv64 ?cmd:riscv64-linux-gnu-gcc   gcc-riscv64-linux-gnu   - -                         - -
test           ?cmd:qemu-arm-static         qemu-user-static        - -                         - -
test           ?file:/usr/arm-linux-gnueabihf/include/stdio.h libc6-dev-armhf-cross - - - -
LIST
}

header_is_there() {
    for dir in /usr/include /usr/local/include /opt/homebrew/include; do
        [ -e "$dir/$1" ] && return 0
    done
    return 1
}

module_is_there() {
    for dir in /usr/lib/python3/dist-packages /usr/lib/python3*/site-packages \
        /usr/local/lib/python3*/site-packages /opt/homebrew/lib/python3*/site-packages; do
        [ -e "$dir/$1" ] && return 0
    done
    return 1
}

sanitizer_is_there() {
    command -v clang >/dev/null || return 1
    for file in "$(clang -print-resource-dir)"/lib/*/libclang_rt.asan*; do
        [ -e "$file" ] && return 0
    done
    return 1
}

is_there() {
    case $1 in
        *cmd:*) command -v "${1#*:}" >/dev/null ;;
        *hdr:*) header_is_there "${1#*:}" ;;
        *py:*)  module_is_there "${1#*:}" ;;
        *rt:*)  sanitizer_is_there ;;
        *file:*) [ -e "${1#*:}" ] ;;
    esac
}

# Sets missing (things), wanted (packages) and required (those without which nothing goes).
look() {
    missing='' required='' wanted=''
    while read -r thing apt apk dnf brew pkg; do
        is_there "$thing" && continue
        missing="$missing ${thing#*:}"
        case $manager in
            apt) package=$apt ;;
            apk) package=$apk ;;
            dnf) package=$dnf ;;
            brew) package=$brew ;;
            pkg) package=$pkg ;;
            *) package=${thing#*:} ;;
        esac
        [ "$package" = - ] || wanted="$wanted $(echo "$package" | tr , ' ')"
        case $thing in
            '?'*) ;;
            *) required="$required $(echo "$package" | tr , ' ')" ;;
        esac
    done <<LOOK
$(list "$1")
LOOK
}

# Debian names the sanitizers' runtime after the compiler's version.
name_runtime() {
    case " $wanted " in
        *' clang-rt '*) ;;
        *) return 0 ;;
    esac
    major=$(apt-cache depends clang 2>/dev/null |
        sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p' | head -n 1)
    if command -v clang >/dev/null; then
        major=$(clang -dumpversion | sed 's/\..*//')
    fi
    wanted=$(echo "$wanted " | sed "s/ clang-rt / libclang-rt-$major-dev /")
}

update() {
    case $manager in
        apt) $sudo apt-get -qq update ;;
        apk) $sudo apk -q update ;;
    esac
}

# RUNLEVEL=1 keeps a server that comes with a package from being started.
install() {
    case $manager in
        apt) $sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
                 apt-get -qq -y --no-install-recommends install "$@" ;;
        apk) $sudo apk -q add "$@" ;;
        dnf) $sudo dnf -q -y install "$@" ;;
        brew) brew install -q "$@" ;;
        pkg) $sudo env ASSUME_ALWAYS_YES=yes pkg install -q "$@" ;;
    esac
}

PATH=$PATH:/usr/sbin:/usr/local/sbin
what=${1:-}
case $what in
    build|static|static-aarch64|static-armhf|static-i386|static-mips|static-riscv64) ;;
    test|soak|fuzz|bench) ;;
    *) echo "usage: tools/need.sh build|static[-ARCH]|test|soak|fuzz|bench" >&2; exit 2 ;;
esac

manager=''
for m in apt-get apk dnf brew pkg; do
    if [ -z "$manager" ] && command -v $m >/dev/null; then
        manager=${m%-get}
    fi
done

look "$what"
[ -z "$missing" ] && exit 0

sudo=''
can=yes
if [ "${SPARP_INSTALL:-}" = no ] || [ -z "$manager" ]; then
    can=no
elif [ "$manager" != brew ] && [ "$(id -u)" != 0 ]; then
    if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        sudo='sudo -n'
    else
        can=no
    fi
fi

if [ $can = yes ] && [ -n "$wanted" ]; then
    echo "need.sh: installing$wanted"
    log=$(mktemp)
    if update >"$log" 2>&1; then
        [ "$manager" = apt ] && name_runtime
        # shellcheck disable=SC2086
        if ! install $wanted >>"$log" 2>&1 </dev/null; then
            for package in $wanted; do
                install "$package" >>"$log" 2>&1 </dev/null ||
                    echo "need.sh: could not install $package"
            done
        fi
    fi
    look "$what"
    [ -z "$required" ] || tail -n 5 "$log"
    rm -f "$log"
fi

if [ -n "$required" ]; then
    echo "need.sh: please install$required, then try again" >&2
    exit 1
fi
exit 0
