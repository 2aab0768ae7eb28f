# Whether the banner of each section names those above it whose functions, types and macros it uses
# itself, in a sentence "Uses a, b." Prints "uses:SECTION what is wrong".
#   awk -f tests/uses.awk pass=1 sparp.h pass=2 NAMES pass=3 sparp.h
# NAMES: lines of "name line", by ctags. The sections of is_free() need not be named; "everything
# above" may be said by who uses ten of them.

# What stands on a line but comments and strings.
function code(line,    out) {
    out = ""
    while (line != "") {
        if (inside) {
            if (!index(line, "*/")) return out
            line = substr(line, index(line, "*/") + 2)
            inside = 0
        } else if (match(line, /\/\*|"([^"\\]|\\.)*"|'([^'\\]|\\.)*'/)) {
            out = out substr(line, 1, RSTART - 1) " "
            inside = substr(line, RSTART, 2) == "/*"
            line = substr(line, RSTART + RLENGTH)
        } else {
            return out line
        }
    }
    return out
}

function is_free(section) {
    return section ~ /^(|api|platform|base|texts)$/
}

function check(user,    says, count, named, above, j) {
    says = text[user]
    gsub(/\*\/ *\/\*|\([^)]*\)/, " ", says)
    if (!match(says, /Uses [a-z0-9, ]+\./)) {
        print "uses:" user, "does not say whom it uses"
        return
    }
    says = substr(says, RSTART + 5, RLENGTH - 6)
    gsub(/[, ]+/, " ", says)
    sub(/^ /, "", says)
    for (j = 1; j < place[user]; j++) {
        above = order[j]
        count += (user, above) in used
        if (says == "everything above") continue
        named = index(" " says " ", " " above " ")
        if (((user, above) in used) && !named && !is_free(above))
            print "uses:" user, "uses", above, "(" used[user, above] ") and does not name it"
        if (named && !((user, above) in used))
            print "uses:" user, "names", above, "without need"
    }
    if (says == "everything above" && count < 10)
        print "uses:" user, "uses", count, "sections, not everything above"
}

# Pass 1: which line is in which section, and what the banners say.
pass == 1 && /^\/\* >>[a-z0-9]+/ {
    section = substr($2, 3)
    order[++sections] = section
    place[section] = sections
    banner = 1
}
pass == 1 {
    at[FNR] = section
    if (/^\/\* ====/) banner = 0
    if (banner) text[section] = text[section] " " $0
}
# Pass 2: which name is at home where; a name that two have is the upper one's.
pass == 2 && (!($1 in home) || place[at[$2]] < place[home[$1]]) { home[$1] = at[$2] }
pass == 2 { own[$1, at[$2]] = 1 }
# Pass 3: who uses whose names.
pass == 3 {
    line = code($0)
    while (match(line, /(sparp|SPARP)_[A-Za-z0-9_]+/)) {
        name = substr(line, RSTART, RLENGTH)
        line = substr(line, RSTART + RLENGTH)
        user = at[FNR]
        if ((name in home) && home[name] != user && !((name, user) in own) \
            && place[home[name]] < place[user] && !((user, home[name]) in used))
            used[user, home[name]] = name
    }
}
END {
    for (i = 1; i <= sections; i++)
        if (order[i] !~ /^(api|platform|end)$/) check(order[i])
}
