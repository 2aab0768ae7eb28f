#!/bin/sh
# The rules of the house that a machine can check, and the sizes of its rooms:   make lint
set -u
cd "$(dirname "$0")/.." || exit 1
mkdir -p build
tmp=build/lint
mkdir -p $tmp

# What breaks a rule for the time being, as "rule:name". One that no longer does fails.
#   function  has more than 60 lines        section  has more than 1,000 (sched and engine: 1,400)
#   struct    has more than 40 fields       uses     its banner does not say whom it uses
known=''

library=sparp.h
programs=$(find tools tests/server examples \( -name '*.c' -o -name '*.h' \) | sort)
tests=$(find tests \( -name '*.c' -o -name '*.h' \) ! -path 'tests/server/*' | sort)
scripts=$(find tests tools examples -name '*.sh' | sort)
[ -e .ci/run ] && scripts="$scripts .ci/run"

results=$tmp/results
: >$results
: >$tmp/applied

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

# Lines of "rule:name what is wrong" without those of `known`.
unknown() {
    while read -r key words; do
        case " $(echo "$known" | tr -s '\n' ' ') " in
            *" $key "*) echo "$key" >>$tmp/applied ;;
            *)          echo "${key#*:}" "$words" ;;
        esac
    done
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

# The longest first: lines, name, file:line.
functions() {
    for file in $library $programs; do
        ctags -x --language-force=C --c-kinds=f --_xformat='%N %n %{end}' "$file" |
            awk -v file="$file" '{ print $3 - $2 + 1, $1, file ":" $2 }'
    done | sort -rn
}

# Fields, name, file:line. A struct within a struct that has no name counts by its fields.
structs() {
    ctags -x --language-force=C --c-kinds=m --_xformat='%{scope} %{typeref} %n %N' $library |
        awk '$2 !~ /::__anon/ { sub(/::.*/, "", $1); fields[$1]++ }
             END { for (name in fields) print fields[name], name }' |
        grep -E ' sparp(__.*)?$' | sort -rn
}

# Lines, name; the manual has none.
rooms() {
    awk '/^\/\* >>[a-z0-9]+/ { name = substr($2, 3) }
         name != "" { lines[name]++ }
         END { for (name in lines) print lines[name], name }' $library | sort -rn
}

# above LIMIT RULE WHAT: of lines of "number name place" those above it.
above() {
    awk -v limit="$1" -v rule="$2" -v what="$3" '$1 > limit {
        print rule ":" $2, "has", $1, what, $3
    }'
}

foreign_names() {
    ctags -x --language-force=C --c-kinds=dfgstuve $library |
        awk '$1 !~ /^(sparp_|SPARP_|__anon)/ && $1 != "sparp" && $1 != "_POSIX_C_SOURCE" {
            print $1, "line", $3
        }'
}

if ctags --version 2>/dev/null | grep -q Universal; then
    prototypes | rule 'no prototypes of static functions'
    foreign_names | rule 'names begin with sparp_ or SPARP_'
    functions >$tmp/functions
    above 60 function lines <$tmp/functions | unknown | rule 'functions of at most 60 lines'
    structs >$tmp/structs
    above 40 struct fields <$tmp/structs | unknown | rule 'private structs of at most 40 fields'
    ctags -x --language-force=C --c-kinds=dfgstuve --_xformat='%N %n' $library >$tmp/names
    awk -f tests/uses.awk pass=1 $library pass=2 $tmp/names pass=3 $library | unknown |
        rule 'banners say whom a section uses'
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

# Poured concrete is not read: words on a line that has some, and lines that have none.
dense_manual() {
    sed '/^#/q' $library | awk '/^ *[-=]*$/ { blank++; next }
        { words += NF; lines++ }
        END {
            if (words > 9 * lines) printf "%.1f words a line, not 9\n", words / lines
            if (blank < 0.1 * NR) printf "%d blank lines of %d, not a tenth\n", blank, NR
        }'
}
dense_manual | rule 'the manual has at most 9 words a line, and blank lines'

# --- the map and the numbers ------------------------------------------------------------------

# Every section has its line in the table of contents, in the order of the file, and every >>tag
# that is mentioned is one.
sections() {
    sed -n 's/^\/\* >>\([a-z0-9]*\).*/\1/p' $library >$tmp/banners
    sed -n '1,/End of API/s/^ \{1,8\}>>\([a-z0-9]*\).*/\1/p' $library >$tmp/contents
    diff $tmp/contents $tmp/banners |
        sed -n 's/^</only in the table of contents:/p; s/^>/not in the table of contents:/p'
    sort -u $tmp/banners >$tmp/known
    grep -oE '>>[a-z][a-z0-9]*' $library | sed 's/>>//' | sort -u | comm -23 - $tmp/known |
        sed 's/^/no such section: >>/'
}
sections | rule 'sections and table of contents agree'

rooms >$tmp/rooms
{
    grep -E ' (sched|engine)$' $tmp/rooms | above 1400 section lines
    grep -vE ' (sched|engine|api)$' $tmp/rooms | above 1000 section lines
} | unknown | rule 'sections of at most 1,000 lines'

macro() {
    sed -n "s/^#define SPARP_VERSION$1  *\"*\([0-9.]*\).*/\1/p" $library
}

versions() {
    make -s build/sparp.pc
    number=$(macro '')
    first=$(sed -n '1s/^\/\* sparp.h \([0-9.]*\) .*/\1/p' $library)
    for one in "macros: $(macro _MAJOR).$(macro _MINOR).$(macro _PATCH)" \
        "SPARP_VERSION_STRING: $(macro _STRING)" \
        "SPARP_VERSION: $((number / 10000)).$((number / 100 % 100)).$((number % 100))" \
        "CHANGELOG.md: $(sed -n 's/^## \[\([0-9.]*\)\].*/\1/p' CHANGELOG.md | head -n 1)" \
        "meson.build: $(sed -n "/^project/s/[^.]*'\([0-9.]*\)'.*/\1/p" tools/meson/meson.build)" \
        "sparp.pc: $(sed -n 's/^Version: //p' build/sparp.pc)"; do
        [ "${one#*: }" = "$first" ] || echo "$one, but line 1 of sparp.h: $first"
    done
}
versions | rule 'one version everywhere'

readme() {
    [ -e README.md ] || { echo 'no README.md'; return; }
    awk '/^```c$/ { inside = 1; next } /^```$/ && inside { exit } inside' README.md >$tmp/readme.c
    sed 's/"\.\.\/sparp.h"/"sparp.h"/' examples/readme.c | diff $tmp/readme.c -
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
    codespell -q 3 -L nd $library tools examples ./*.md Makefile 2>&1 | rule codespell
else
    skip 'no codespell'
fi

# --- the exceptions, and the sizes ------------------------------------------------------------

for key in $known; do
    grep -qx "$key" $tmp/applied || echo "$key: nothing is wrong there any more"
done | rule 'known exceptions'

# first FILE UNIT: its three largest.
first() {
    head -n 3 "$1" | awk -v unit="$2" '{ printf "%s%s %s", sep, $2, $1; sep = ", " }
                                       END { print " " unit }'
}
if [ -e $tmp/structs ]; then
    echo "largest sections: $(first $tmp/rooms lines)"
    echo "largest private structs: $(first $tmp/structs fields)"
    echo "longest functions: $(first $tmp/functions lines)"
fi

count() {
    grep -c "^$1" $results
}
echo "$(count passed) passed, $(count failed) failed, $(count skipped) skipped"
[ "$(count failed)" -eq 0 ]
