#!/bin/sh
# To be read by a script with `.`: source packages of the distribution, fetched by apt into $work,
# while the system's package lists stay as they are. The script has missing(), which ends it, and
# $debian, the architecture.
# shellcheck disable=SC2154

# sources deb|deb-src ARCHITECTURE: the system's own entries for the place BearSSL comes from, as
# entries of that type, into sources/.
sources() {
    base=$(apt-get --print-uris download libbearssl-dev 2>/dev/null |
        sed -n "s|^'\(.*\)/pool/.*|\1|p" | head -n 1)
    for file in /etc/apt/sources.list.d/*.sources; do
        [ -e "$file" ] || continue
        awk -v base="$base" -v type="$1" -v arch="$2" '
            BEGIN { RS = ""; ORS = "\n\n" }
            /(^|\n)Enabled: *no/ || !index($0, base) { next }
            {
                gsub(/(^|\n)#[^\n]*/, "")
                sub(/^\n/, "")
                sub(/\nArchitectures:[^\n]*/, "")
                sub(/Types:[^\n]*/, "Types: " type "\nArchitectures: " arch)
                print
            }' "$file" >"sources/$(basename "$file")"
    done
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ -e "$file" ] || continue
        awk -v base="$base" -v type="$1" -v arch="$2" '
            /^deb[ \t]/ && index($0, base) {
                sub(/arch=[^] ]*/, "arch=" arch)
                sub(/^deb/, type)
                print
            }' "$file" >"sources/$(basename "$file")"
    done
}

apt() {
    apt-get -qq -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$apt/sources" \
        -o Dir::State::Lists="$apt/lists" -o Dir::Cache="$apt/cache" -o APT::Sandbox::User=root \
        -o APT::Architectures::="$debian" -o Acquire::Languages=none "$@"
}

# fetch deb|deb-src COMMAND...: in a directory of its own, which is left for what is in there then.
# An update that fails in part may do: what counts is whether the package comes.
fetch() {
    apt=$work/apt.$$
    rm -rf "$apt"
    mkdir -p "$apt/sources" "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/in"
    trap 'rm -rf "$apt"' EXIT
    trap 'exit 130' INT TERM HUP
    (
        cd "$apt" || exit 1
        sources "$1" "$debian"
        shift
        apt update
        cd in && "$@"
    ) >"$work/$arch/log" 2>&1 </dev/null || tail -n 5 "$work/$arch/log"
}

# An update of security may not be there, while the release is.
source_package() {
    apt source "$1" || apt source "$1/$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)"
}

# fetch_source NAME WHAT FILE: into $work/NAME; FILE is in it.
fetch_source() {
    echo "fetching the source package of $2"
    fetch deb-src source_package "$1"
    for dir in "$apt"/in/"$1"-*/; do
        [ -e "$dir/$3" ] || missing "the source package of $2 could not be fetched"
        [ -e "$work/$1" ] || mv "$dir" "$work/$1"
    done
    rm -rf "$apt"
}
