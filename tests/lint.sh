#!/bin/sh
# The rules of the house that a machine can check.
set -u
cd "$(dirname "$0")/.." || exit 1
mkdir -p build
tmp=build/lint
mkdir -p $tmp

# Functions that may have up to 100 lines: one switch each.
long_ones=''

library=sparp.h
programs=$(find tools tests/server examples \( -name '*.c' -o -name '*.h' \) | sort)
tests=$(find tests \( -name '*.c' -o -name '*.h' \) ! -path 'tests/server/*' | sort)
scripts=$(find tests tools examples -name '*.sh' | sort)
[ -e .ci/run ] && scripts="$scripts .ci/run"

results=$tmp/results
: >$results

# Takes what a rule has found wrong on standard input: nothing is good.
rule() {
    if grep . >$tmp/found; then
        echo failed >>$results
        echo "FAILED $1:"
        head -n 20 $tmp/found | sed 's/^/    /'
    else
        echo passed >>$results
        echo "ok $1"
    fi
}

skip() {
    echo skipped >>$results
    echo "skipped: $1"
}

# --- functions and names, by universal-ctags --------------------------------------------------

prototypes() {
    ctags -x --c-kinds=p $library |
        awk '$1 !~ /^sparp_[a-z]/ || $1 ~ /^sparp__/ { print $1, "line", $3 }'
    for file in $programs; do
        ctags -x --language-force=C --c-kinds=p "$file" | awk '{ print $4 ":" $3, $1 }'
    done
}

too_long() {
    for file in $library $programs; do
        ctags -x --language-force=C --c-kinds=f --_xformat='%N %n %{end}' "$file" |
            awk -v file="$file" -v long_ones=" $long_ones " '{
                lines = $3 - $2 + 1
                limit = index(long_ones, " " $1 " ") ? 100 : 60
                if (lines > limit) print file ":" $2, $1, "has", lines, "lines"
            }'
    done
}

foreign_names() {
    ctags -x --language-force=C --c-kinds=dfgstuve $library |
        awk '$1 !~ /^(sparp_|SPARP_|__anon)/ && $1 != "sparp" && $1 != "_POSIX_C_SOURCE" {
            print $1, "line", $3
        }'
}

if ctags --version 2>/dev/null | grep -q Universal; then
    prototypes | rule 'no prototypes of static functions'
    too_long | rule 'functions of at most 60 lines'
    foreign_names | rule 'names begin with sparp_ or SPARP_'
else
    skip 'no universal-ctags'
fi

# --- text -------------------------------------------------------------------------------------

# shellcheck disable=SC2086
code="$library $programs $tests"
# shellcheck disable=SC2086
LC_ALL=C.UTF-8 grep -nE '^.{101,}' $code $scripts /dev/null | cut -c 1-120 |
    rule 'lines of at most 100 columns'
# shellcheck disable=SC2086
grep -n "$(printf '\t')" $code $scripts /dev/null | rule 'no tabs'
# shellcheck disable=SC2086
grep -nE ' +$' $code $scripts /dev/null | rule 'no blanks at the end of a line'
# shellcheck disable=SC2086
grep -nwE 'TODO|FIXME|XXX' $code $scripts ./*.md | grep -v '^tests/lint.sh' |
    rule 'nothing left to do'

# Looks at each character, to tell a comment from "http://".
line_comments() {
    for file in $code; do
        awk -v file="$file" '
            {
                n = length($0); quote = ""
                for (i = 1; i <= n; i++) {
                    c = substr($0, i, 1); two = substr($0, i, 2)
                    if (inside) { if (two == "*/") { inside = 0; i++ } }
                    else if (quote != "") { if (c == "\\") i++; else if (c == quote) quote = "" }
                    else if (c == "\"" || c == "\047") quote = c
                    else if (two == "/*") { inside = 1; i++ }
                    else if (two == "//") { print file ":" NR ": " $0; break }
                }
            }' "$file"
    done
}
line_comments | rule 'no // comments'

# --- the map and the numbers ------------------------------------------------------------------

# Every section has its line in the table of contents, in the order of the file, and every >>tag
# that is mentioned is one.
sections() {
    sed -n 's/^\/\* >>\([a-z]*\).*/\1/p' $library >$tmp/banners
    sed -n '1,/End of API/s/^ \{1,8\}>>\([a-z]*\).*/\1/p' $library >$tmp/contents
    diff $tmp/contents $tmp/banners |
        sed -n 's/^</only in the table of contents:/p; s/^>/not in the table of contents:/p'
    sort -u $tmp/banners >$tmp/known
    grep -oE '>>[a-z]+' $library | sed 's/>>//' | sort -u | comm -23 - $tmp/known |
        sed 's/^/no such section: >>/'
}
sections | rule 'sections and table of contents agree'

macro() {
    sed -n "s/^#define SPARP_VERSION$1  *\"*\([0-9.]*\).*/\1/p" $library
}

versions() {
    rm -f build/sparp.pc
    make -s build/sparp.pc
    number=$(macro '')
    first=$(sed -n '1s/^\/\* sparp.h \([0-9.]*\) .*/\1/p' $library)
    for one in "macros: $(macro _MAJOR).$(macro _MINOR).$(macro _PATCH)" \
        "SPARP_VERSION_STRING: $(macro _STRING)" \
        "SPARP_VERSION: $((number / 10000)).$((number / 100 % 100)).$((number % 100))" \
        "CHANGELOG.md: $(sed -n 's/^## \[\([0-9.]*\)\].*/\1/p' CHANGELOG.md | head -n 1)" \
        "sparp.pc: $(sed -n 's/^Version: //p' build/sparp.pc)"; do
        [ "${one#*: }" = "$first" ] || echo "$one, but line 1 of sparp.h: $first"
    done
}
versions | rule 'one version everywhere'

readme() {
    [ -e README.md ] || { echo 'no README.md'; return; }
    awk '/^```c$/ { inside = 1; next } /^```$/ && inside { exit } inside' README.md >$tmp/readme.c
    diff $tmp/readme.c examples/readme.c
}
readme 2>&1 | rule "README's program is examples/readme.c"

# --- other tools ------------------------------------------------------------------------------

if command -v shellcheck >/dev/null; then
    # shellcheck disable=SC2086
    shellcheck -x -e SC2317,SC2329 $scripts 2>&1 | rule shellcheck
else
    skip 'no shellcheck'
fi
if command -v codespell >/dev/null; then
    codespell -q 3 $library tools examples ./*.md Makefile 2>&1 | rule codespell
else
    skip 'no codespell'
fi

count() {
    grep -c "^$1" $results
}
echo "$(count passed) passed, $(count failed) failed, $(count skipped) skipped"
[ "$(count failed)" -eq 0 ]
