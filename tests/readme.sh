#!/bin/sh
# README.md, read from the top in a fresh folder: each of its programs is compiled and each command
# run as it is written, and prints what README shows.
#
# A fenced block of README.md ...
#   c, python   is a file; its first comment says its name
#   sh          is run, command by command
#   console     likewise; "$ " begins a command, and what stands below is all that it prints
# An HTML comment in the line before may say "in the source folder", which is then the folder, or
# "not run" and why. http://127.0.0.1:8080 is the server of the tests, wherever it listens. What is
# printed is compared without what differs each time (times, rates, bytes), lines in any order.
# shellcheck disable=SC2016
set -u
cd "$(dirname "$0")/.." || exit 1
. tests/e2e/lib.sh
has_tls || { echo 'skipped: no BearSSL'; exit 77; }
mkdir "$dir/blocks" "$dir/source" "$dir/work"
cp -R CHANGELOG.md LICENSE Makefile README.md examples sparp.h tests tools "$dir/source"
cp sparp.h "$dir/work"

# nothing_in FILE: else it says what is.
nothing_in() {
    [ ! -s "$1" ] || { sed 's/^/    /' "$1"; return 1; }
}

# Here and now.
there() {
    sed "s/127\.0\.0\.1:8080/127.0.0.1:$port/g"
}

# --- blocks -----------------------------------------------------------------------------------

# Each as blocks/NNN-KIND; the comment before it in NNN.mark.
split_blocks() {
    awk -v dir="$dir/blocks/" '
        file == "" && match($0, /^ *```/) {
            indent = RLENGTH - 3
            kind = substr($0, RLENGTH + 1)
            n = sprintf("%03d", ++count)
            file = dir n "-" (kind == "" ? "none" : kind)
            if (before ~ /<!--/) print before >(dir n ".mark")
            printf "" >file
            next
        }
        file != "" && /^ *```$/ { close(file); file = ""; before = ""; next }
        file != "" { print substr($0, indent + 1) >file; next }
        { before = $0 }' README.md
}

# split_commands FILE PROMPT: FILE.1.command, FILE.1.output, FILE.2.command, ... A command goes on
# after a line that ends in \ or |.
split_commands() {
    awk -v file="$1" -v prompt="$2" '
        function begin(line) {
            n++
            command = file "." n ".command"
            output = file "." n ".output"
            print line >command
            printf "" >output
            more = line ~ /[\\|]$/
        }
        more { print >command; more = $0 ~ /[\\|]$/; next }
        prompt == "" && /[^ ]/ { begin($0); next }
        prompt != "" && index($0, prompt) == 1 { begin(substr($0, length(prompt) + 1)); next }
        n > 0 { print >output }' "$1"
}

# Without what differs from run to run. A line of percentiles may be broken in two.
alike() {
    sed -E 's/ +/ /g; s/^ //; s/ $//; s/"t": ?[0-9.]+/"t":T/; s/"ms":\{[^}]*\}/"ms":{}/
        s/"bytes":\{[^}]*\}/"bytes":{}/
        s/"(queue|dns|connect|tls|ttfb|total|all|out|in)": [0-9.]+/"\1": N/
        s/[0-9.]+ ?(ms|us|s)( |$)/T\2/g; s/[0-9.]+\/s/R/g; s/[0-9.]+ k?B /B /g
        s/[0-9]+ connections?/connections/; s/[0-9.]+ % reused/% reused/' |
        awk '/^(p95|p99|max) T/ { line = line " " $0; next }
             { print line; line = $0 }
             END { print line }' | sed '/^$/d' | LC_ALL=C sort
}

# run_command FILE FOLDER PROMPT: exit status 1 means that a request failed, as README knows.
run_command() {
    {
        cat "$dir/exports"
        there <"$1.command"
    } >"$1.script"
    grep '^export ' "$1.command" >>"$dir/exports"
    (
        cd "$2" && HOME=$dir/home PATH=$dir/home/.local/bin:$PATH CFLAGS=-O0 \
            timeout -k 5 60 sh "$1.script" </dev/null >"$1.printed" 2>&1
    )
    status=$?
    sed "s/127\.0\.0\.1:$port/127.0.0.1:8080/g" "$1.printed" >"$1.got"
    [ "$status" -le 1 ] || { echo "    exit status $status"; cat "$1.got"; return 1; }
    [ -n "$3" ] || return 0
    alike <"$1.output" >"$1.wanted"
    alike <"$1.got" | diff "$1.wanted" -
}

# Not of the tests' necessary tools.
lacks_tool() {
    for tool in sqlite3 python3; do
        grep -q "$tool" "$1" && ! command -v $tool >/dev/null && return
    done
    return 1
}

# run_block FILE FOLDER PROMPT
run_block() {
    split_commands "$1" "$3"
    i=1
    while [ -e "$1.$i.command" ]; do
        if lacks_tool "$1.$i.command"; then
            skip "no $tool"
        else
            check "$(head -n 1 "$1.$i.command")" run_command "$1.$i" "$2" "$3"
        fi
        i=$((i + 1))
    done
}

write_file() {
    name=$(sed -n '1s/^[^a-z]*\([a-z_]*\.[a-z]*\).*/\1/p' "$1")
    [ -n "$name" ] && there <"$1" >"$dir/work/$name"
}

start_plain
split_blocks
: >"$dir/exports"
not_run=0
for block in "$dir"/blocks/*-*; do
    mark=$(cat "${block%-*}.mark" 2>/dev/null)
    folder=$dir/work
    case $mark in
        *'not run'*:*) not_run=$((not_run + 1)); continue ;;
        *'in the source folder'*) folder=$dir/source ;;
    esac
    case $block in
        *-c|*-python) check "$(head -n 1 "$block")" write_file "$block" ;;
        *-sh)         run_block "$block" "$folder" '' ;;
        *-console)    run_block "$block" "$folder" '$ ' ;;
        *)            check 'a block says what it is' false "$block" ;;
    esac
done
echo "$not_run blocks are not run"
check 'six blocks at most are not run' [ "$not_run" -le 6 ]
check 'no block is hidden from this test by four blanks' \
    awk '/^ *```/ { inside = !inside; next }
         !inside && before == "" && /^    [^ ]/ { exit 1 }
         { before = $0 }' README.md

# --- what is said within a line ---------------------------------------------------------------

# All `code` but that of the tables' left sides where they are about other programs.
split_spans() {
    awk '/^ *```/ { inside = !inside }
         inside { next }
         /^## Coming from/ { others = 1 }
         /^## Tests/ { others = 0 }
         others && /^\| / { gsub(/\\\|/, "\001"); split($0, cell, "|"); $0 = cell[3] }
         { print }' README.md | grep -o '`[^`]*`' | tr -d '`' | tr '\001' '|' | sort -u
}
split_spans >"$dir/spans"

# Other compilers' flags aside.
flags_exist() {
    grep -E '^-|^sparp |\| sparp ' "$dir/spans" | grep -oE '(^| )--?[a-zA-Z][A-Za-z0-9-]*' |
        tr -d ' ' | grep -vE '^-(D|I|O|l)[A-Za-z]' | sort -u | while read -r flag; do
            grep -qE -e "(^| |,)$flag( |,|:|$)" "$dir/help" || echo "$flag"
        done >"$dir/unknown"
    nothing_in "$dir/unknown"
}
"$SPARP_PLAIN" --help >"$dir/help"
check 'the flags that it names exist' flags_exist

names_exist() {
    grep -owE 'sparp_[a-z_]+|SPARP_[A-Z_]*[A-Z]|[a-z]+_timeout_s' "$dir/spans" >"$dir/names"
    grep -owE '(max|stop|on|min|input|retry|backoff|progress|estimated)_[a-z_]+' "$dir/spans" \
        >>"$dir/names"
    sort -u "$dir/names" | while read -r name; do
        grep -qw -e "$name" sparp.h tools/need.sh tools/result.schema.json || echo "$name"
    done >"$dir/unknown"
    nothing_in "$dir/unknown"
}
check 'the names of the library exist' names_exist

# keys SCHEMA TITLE: the table below that title has them all, in its first column.
keys() {
    awk -v title="### $2" '/^#/ { inside = $0 == title } inside && /^\| `/' README.md |
        cut -d '|' -f 2 | grep -o '`[^`]*`' | tr -d '`' | sort -u >"$dir/keys"
    jq -r '.properties | keys[]' "$1" | sort -u | comm -23 - "$dir/keys" >"$dir/unknown"
    nothing_in "$dir/unknown"
}
check 'each key of a record is explained' keys tools/result.schema.json 'A record'
check 'each key of an input line is explained' keys tools/request.schema.json 'Input'

# Whole commands, in tables, too: h is the server there, URL an address of it.
commands_run() {
    : >"$dir/unknown"
    grep -E '(^|\| )sparp ' "$dir/spans" | grep -E 'urls.txt|://|URL' >"$dir/commands"
    while read -r command; do
        echo "$command" | sed "s|http://h/|http://127.0.0.1:$port/|g
            s| URL| http://127.0.0.1:$port/items/1|g" >"$dir/script"
        (
            cd "$dir/work" && seq 5 | PATH=$dir/home/.local/bin:$PATH timeout 20 \
                sh "$dir/script" >"$dir/log" 2>&1
        )
        status=$?
        [ "$status" -le 1 ] || echo "exit status $status: $command" >>"$dir/unknown"
    done <"$dir/commands"
    nothing_in "$dir/unknown" && [ "$(wc -l <"$dir/commands")" -ge 4 ]
}
check 'commands within a line run' commands_run

# Files, and titles of this one.
links_lead_somewhere() {
    grep -oE '\]\([^)#]+\)|src(set)?="[^"]+"' README.md |
        sed 's/^](//; s/)$//; s/^src[^"]*"//; s/"$//' | grep -v '^https*:' | sort -u |
        while read -r path; do [ -e "$path" ] || echo "$path"; done >"$dir/unknown"
    grep -E '^##+ ' README.md | sed 's/^#* //' | tr 'A-Z ' 'a-z-' | tr -d ',' |
        sort -u >"$dir/titles"
    grep -oE '\]\(#[^)]+\)' README.md | sed 's/^](#//; s/)$//' | sort -u |
        comm -23 - "$dir/titles" >>"$dir/unknown"
    nothing_in "$dir/unknown"
}
check 'its links lead somewhere' links_lead_somewhere

finish
