#!/bin/sh
# The manual page and the completions have the flags of --help, and none besides; the shells read
# them; the examples of the page do what it says of them.
set -u
cd "$(dirname "$0")/.." || exit 1
. tests/e2e/lib.sh
# In a folder of its own: others may install meanwhile.
for form in 1 bash zsh fish; do
    case $form in
        1) awk -v form=man -f tools/options.awk tools/sparp/options.h tools/sparp.1 ;;
        *) awk -v form=$form -f tools/options.awk tools/sparp/options.h ;;
    esac >"$dir/sparp.$form"
done
page=$dir/sparp.1

# with COMMAND: it is here, or that is told.
with() {
    command -v "$1" >/dev/null || { skip "no $1"; return 1; }
}

# --- flags: one a line, sorted ----------------------------------------------------------------

# Of lines that begin with "-X, --name ARG": the names.
names() {
    awk '{ for (i = 1; $i ~ /^-.*,$/; i++) print substr($i, 1, length($i) - 1); print $i }' |
        LC_ALL=C sort
}

# The same flags as in the file $1.
same_as() {
    LC_ALL=C sort | diff "$1" -
}

"$SPARP_PLAIN" --help >"$dir/help"
grep -E '^  (-|    --)' "$dir/help" | names >"$dir/flags"
sed -n '/^Other names:/,/\.$/p' "$dir/help" | grep -oE -e '--[a-z-]+ is' | sed 's/ is//' |
    LC_ALL=C sort - "$dir/flags" >"$dir/all_flags"
check '--help has flags, and others names for some' [ "$(wc -l <"$dir/flags")" -gt 100 ]
check '... which are known' [ "$(wc -l <"$dir/all_flags")" -gt "$(wc -l <"$dir/flags")" ]

# --- the page ---------------------------------------------------------------------------------

says_nothing() {
    "$@" >"$dir/log" 2>&1
    [ ! -s "$dir/log" ] || { head -n 5 "$dir/log"; return 1; }
}

page_has_flags() {
    sed -n '/^OPTIONS/,/^ENVIRONMENT/p' "$dir/text" | grep '^     -' | names |
        same_as "$dir/all_flags"
}

# What both say of them, whatever the columns are; the other names aside.
page_has_words() {
    sed '/^Input$/,/^Other names/!d; /^Other names/d' "$dir/help" | tr -s ' ' '\n' | grep . |
        LC_ALL=C sort >"$dir/help.words"
    sed -n '/^OPTIONS/,/^ENVIRONMENT/p' "$dir/text" | sed '1,/in brackets/d; /^ENVIRONMENT/d' |
        sed 's/, --concurrency//; s/, --rate//' | tr -s ' ' '\n' | grep . | LC_ALL=C sort |
        diff "$dir/help.words" -
}

# The lines of all examples as they are typed.
typed() {
    sed -n '/^\.Bd/,/^\.Ed/{/^\./!p;/^\.\//p;}' tools/sparp.1
}

examples_are_printed() {
    sed 's/^ *//' "$dir/text" >"$dir/lines"
    typed | sed 's/^ *//' | while read -r line; do
        grep -qxF -e "$line" "$dir/lines" || { echo "    $line"; return 1; }
    done
}

if with mandoc; then
    check 'mandoc -T lint is content' says_nothing mandoc -T lint "$page"
    mandoc -T utf8 -O width=500 "$page" | sed "s/.$(printf '\b')//g" >"$dir/text"
    check 'the page has the flags of --help, no others' page_has_flags
    check '... and its words' page_has_words
    check 'examples are printed as they are typed' examples_are_printed
fi

# --- the completions --------------------------------------------------------------------------

# bash_gives WORD...: of which the last one is begun.
cat >"$dir/bash.sh" <<'BASH'
source "$1"
shift
compopt() { echo "compopt $*"; }
COMP_WORDS=(sparp "$@") COMP_CWORD=$#
_sparp
[ "${#COMPREPLY[@]}" = 0 ] || printf '%s\n' "${COMPREPLY[@]}"
BASH
bash_gives() {
    bash "$dir/bash.sh" "$dir/sparp.bash" "$@"
}
bash_has_flags() {
    bash_gives - | same_as "$dir/flags"
}
bash_has_words() {
    [ "$(bash_gives --order '' | paste -sd ' ' -)" = 'completion input' ] &&
        [ "$(bash_gives --order = i)" = input ] && [ "$(bash_gives --max-at-once =)" = auto ] &&
        [ "$(bash_gives --body-dir '')" = 'compopt -o dirnames +o default' ] &&
        [ "$(bash_gives -r '')" = 'compopt +o default' ] && [ -z "$(bash_gives -o '')" ]
}
if with bash; then
    check 'bash: the flags of --help, no others' bash_has_flags
    check 'bash: words, folders, files, nothing' bash_has_words
fi

# What it gives to _arguments, and then what a terminal shows.
zsh_has_flags() {
    zsh -f -c '_arguments() { print -rl -- "$@" }; . "$1"' zsh "$dir/sparp.zsh" |
        sed -nE 's/^(\([^)]*\))?\*?(-[^]=+*:[]*)[=+]?\[.*/\2/p' | same_as "$dir/flags"
}
zsh_completes() {
    mkdir -p "$dir/site"
    cp "$dir/sparp.zsh" "$dir/site/_sparp"
    cat >"$dir/zsh.sh" <<'ZSH'
zmodload zsh/zpty
zpty shell "TERM=dumb zsh -f -i"
zpty -w shell "PS1=; fpath=($1 \$fpath); autoload -U compinit; compinit -u -D; print rea''dy"
zpty -r -m shell seen '*ready*' || exit 1
zpty -w -n shell "sparp --order=inp"$'\t'
zpty -r -m shell seen '*--order=input*' || exit 1
zpty -w -n shell "--stop-mo"$'\t'
zpty -r -m shell seen '*--stop-mode*' || exit 1
zpty -w -n shell "dra"$'\t'
zpty -r -m shell seen '*drain*'
ZSH
    timeout 20 zsh -f "$dir/zsh.sh" "$dir/site"
}
if with zsh; then
    check 'zsh: the flags of --help, no others' zsh_has_flags
    check 'zsh: completes on a terminal' zsh_completes
fi

cat >"$dir/fish.fish" <<'FISH'
source $argv[1]
complete -C $argv[2] | string replace -r '\t.*' ''
FISH
fish_gives() {
    HOME=$dir fish --no-config "$dir/fish.fish" "$dir/sparp.fish" "$1"
}
fish_has_flags() {
    fish_gives 'sparp -' | same_as "$dir/flags"
}
fish_has_words() {
    [ "$(fish_gives 'sparp --order ' | paste -sd ' ' -)" = 'completion input' ] &&
        [ "$(fish_gives 'sparp --order=i')" = --order=input ]
}
if with fish; then
    check 'fish: the flags of --help, no others' fish_has_flags
    check 'fish: words' fish_has_words
fi

# --- the examples -----------------------------------------------------------------------------

# example NAME STATUS: runs it in the folder $dir/NAME, as it is typed but for the server.
example() {
    sed -n "/^\.\\\\\" example: $1\$/,/^\.Ed/p" tools/sparp.1 | sed '1,2d;$d' |
        sed "s|https*://api\.example\.com|$base|g" >"$dir/$1/typed"
    [ -s "$dir/$1/typed" ] || return 1
    (cd "$dir/$1" && PATH=$dir/$1/bin:$dir/bin:$PATH timeout 30 sh typed >out 2>err)
    got=$?
    [ "$got" -eq "$2" ] || { echo "    exit status $got"; cat "$dir/$1/err"; return 1; }
}

# ends NAME STATUS FILE JQ: and of all the values in the file the filter is true.
ends() {
    example "$1" "$2" || return 1
    [ "$(jq -s "$4" "$dir/$1/$3" 2>&1)" = true ] || { head -n 4 "$dir/$1/$3"; return 1; }
}

# urls NAME PATH...: its urls.txt.
urls() {
    name=$1
    shift
    printf "$base/%s\n" "$@" >"$dir/$name/urls.txt"
}

mkdir -p "$dir/bin"
ln -s "$SPARP_PLAIN" "$dir/bin/sparp"
known=$(sed -n 's/^\.\\" example: //p' tools/sparp.1 | paste -sd ' ' -)
for name in $known; do
    mkdir -p "$dir/$name"
done
start_plain
base=http://127.0.0.1:$port

printf 'name,id\n"Doe, J.",1\nRoe,2\n' >"$dir/csv/people.csv"
check 'example: CSV by a template' ends csv 0 results.jsonl \
    'map(.status) == [200, 200] and (map(.url[-8:]) | sort) == ["/items/1", "/items/2"]'

printf '{"user":"a","n":1}\n{"user":"b","n":2}\n' >"$dir/join/docs.jsonl"
check 'example: POST and join' ends join 0 joined.jsonl \
    '. == [{user: "a", n: 1, status: 200}, {user: "b", n: 2, status: 200}]'

urls rate retry-after/man/1 items/2
check 'example: 60 a minute, and 429' ends rate 0 results.jsonl \
    'map(.status) == [200, 200] and (map(.attempts) | add) > 2'

printf 'http://%s/items/%d\n' api.example.com 1 a.example.org 2 api.example.com 3 localhost 4 \
    a.example.org 5 api.example.com 6 localhost 7 >"$dir/hosts/urls.txt"
mkdir -p "$dir/hosts/bin"
printf '#!/bin/sh\nexec "%s" --connect-to "::127.0.0.1:%s" "$@"\n' "$SPARP_PLAIN" "$port" \
    >"$dir/hosts/bin/sparp"
chmod +x "$dir/hosts/bin/sparp"
# waited HOST JQ: about the times that requests to it have waited for its limits, in ms, sorted
waited() {
    got=$(jq -sc "map(select(.url | contains(\"$1\")) | .ms.origin // 0) | sort | $2, ." \
        "$dir/hosts/results.jsonl" 2>&1)
    case $got in
        true*) ;;
        *) echo "    $got"; return 1 ;;
    esac
}
check 'example: two hosts' ends hosts 0 results.jsonl 'length == 7 and all(.status == 200)'
check '... five a second at one' waited api.example.com '.[1] > 150 and .[2] > 350'
check '... one a second at the other' waited a.example.org '.[1] > 900'
check '... no limit at a third' waited localhost '. == [0, 0]'

for n in 1 2 3; do
    printf '{"model":"m","max_tokens":20,"usage":{"total_tokens":%s5}}\n' $n
done >"$dir/cost/chats.jsonl"
check 'example: a cost' ends cost 0 results.jsonl 'map(.cost) | sort == [15, 25, 35]'
check '... in the summary' grep -q '^cost  *75 booked' "$dir/cost/err"

urls downloads bytes/1000 bytes/2000
check 'example: downloads' ends downloads 0 results.jsonl 'map(.status) == [200, 200]'
check '... under their names' [ "$(wc -c <"$dir/downloads/files/1000")" -eq 1000 ]
check '... the same command again' ends downloads 0 results.jsonl 'length == 2'

urls links items/1 status/404 items/3
check 'example: broken links' example links 1
check '... only those' \
    [ "$(sed 1d "$dir/links/out")" = "$(printf '404\t\t%s/status/404' "$base")" ]

urls again flaky/man/1 items/2
(cd "$dir/again" && "$SPARP_PLAIN" -q -R 0 -j run.journal urls.txt -o results.jsonl)
cp "$dir/again/results.jsonl" "$dir/again/out.jsonl"
check 'example: what failed once more' ends again 0 results.jsonl \
    'map(.status) | sort == [200, 200, 503]'
check '... without a journal' \
    [ "$(jq -s 'map(.status) | sort == [200, 200, 503]' "$dir/again/out.jsonl")" = true ]

awk -v base="$base" 'BEGIN { while (i++ < 1500) print base "/status/404?" i }' >"$dir/stop/urls.txt"
check 'example: stop at 1%' example stop 3
check '... not before 1,000' [ "$(wc -l <"$dir/stop/results.jsonl")" -ge 1000 ]
check '... the rest is kept' [ "$(wc -l <"$dir/stop/rest.txt")" -eq 1500 ]

# The second value comes when the first has its record, or not at all.
cat >"$dir/live/producer" <<'PRODUCER'
#!/bin/sh
echo 1
tries=0
until [ -e seen ]; do
    tries=$((tries + 1))
    [ $tries -lt 200 ] || exit 1
    sleep 0.05
done
echo 2
PRODUCER
cat >"$dir/live/consumer" <<'CONSUMER'
#!/bin/sh
while read -r line; do
    echo "$line"
    : >seen
done
CONSUMER
chmod +x "$dir/live/producer" "$dir/live/consumer"
check 'example: live' ends live 0 out 'map(.status) == [200, 200]'

urls table items/1 status/404
if with sqlite3; then
    check 'example: to a table and a database' example table 0
    check '... which has them' [ "$(sqlite3 "$dir/table/results.db" \
        'select count(*), sum(status) from results')" = '2|604' ]
fi

for id in b a; do
    printf '{"custom_id":"%s","method":"POST","url":"/echo","body":{"model":"m"}}\n' $id
done >"$dir/batch/batch.jsonl"
API_KEY=secret
export API_KEY
check 'example: a batch' ends batch 0 answers.jsonl \
    'map(.custom_id) == ["b", "a"] and map(.response.status_code) == [200, 200]'
check '... the same command again' ends batch 0 answers.jsonl 'length == 2'

urls shards items/1 items/2 items/3
check 'example: two processes' ends shards 0 all.jsonl 'map(.index) == [0, 1, 2]'

urls report items/1 status/404
check 'example: a report' example report 0
check '... of the run' grep -q '<h1>2 requests' "$dir/report/report.html"
check '... and of its records' grep -q '<h1>2 requests' "$dir/report/saved.html"

urls nightly items/1 items/2
check 'example: every night' ends nightly 0 summary.json 'length == 1'
check '... says nothing' says_nothing cat "$dir/nightly/out" "$dir/nightly/err"
urls nightly items/1 status/404
check '... or that requests failed' example nightly 0
check '... by the exit status' grep -q 'exit status 1' "$dir/nightly/out"

all_were_run() {
    for name in $known; do
        [ -s "$dir/$name/typed" ] || [ "$name" = table ] || { echo "    $name"; return 1; }
    done
}
check 'no example is left out' all_were_run
check 'each has a name' [ "$(grep -c '^\.Bd' tools/sparp.1)" -eq "$(echo "$known" | wc -w)" ]
finish
