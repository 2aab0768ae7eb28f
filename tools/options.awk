# The table of flags in tools/sparp/options.h as a manual page or as a shell's completion:
#   awk -v form=man|bash|zsh|fish -f tools/options.awk tools/sparp/options.h [tools/sparp.1]
# The page is tools/sparp.1, with the flags where it says so; what stands there between .Bd and .Ed
# is printed as it is.

# --- the table: X(...) of #define GROUPS, OPTIONS and ALIASES -----------------------------------

FNR == 1 { file++ }
file == 1 && /^#define (GROUPS|OPTIONS|ALIASES)\(X\)/ { define = $2; sub(/\(.*/, "", define) }
file == 1 && define != "" {
    line = $0
    ends = !sub(/\\$/, "", line)
    rows[define] = rows[define] line
    if (ends)
        define = ""
}
file == 2 { page[++page_lines] = $0 }

# The next X(...) of `rest` into field[1...]; strings beside each other are one.
function next_row(    c, n, inside) {
    if (!match(rest, /[^A-Z(]X\(/))
        return 0
    rest = substr(rest, RSTART + RLENGTH)
    split("", field)
    split("", quoted)
    n = 1
    while (rest != "") {
        c = substr(rest, 1, 1)
        rest = substr(rest, 2)
        if (c == "\\") {
            c = substr(rest, 1, 1)
            rest = substr(rest, 2)
            field[n] = field[n] c
        } else if (c == "\"" || c == "'" && inside != "\"") {
            inside = inside == "" ? c : ""
            quoted[n] = 1
        } else if (inside != "" || c !~ /[ ,)]/) {
            field[n] = field[n] c
        } else if (c == ",") {
            n++
        } else if (c == ")") {
            return n
        }
    }
    return 0
}

function read_table(    i) {
    rest = rows["GROUPS"]
    while (next_row() > 0) {
        group[++groups] = field[1]
        title[groups] = field[2]
    }
    rest = rows["OPTIONS"]
    while (next_row() > 0) {
        i = ++options
        id[i] = field[1]
        letter[i] = 2 in quoted ? field[2] : ""
        name[i] = field[3]
        arg[i] = 4 in quoted ? field[4] : ""
        of_group[i] = field[5]
        help[i] = field[10]
    }
    rest = rows["ALIASES"]
    while (next_row() > 0)
        alias[field[2]] = alias[field[2]] " " field[1]
}

# --- what follows from the argument's name ------------------------------------------------------

# The words it may be: of "none|all|NAME,.." the first two.
function words(i,    part, n, k, found) {
    n = split(arg[i], part, "|")
    for (k = 1; k <= n; k++) {
        if (part[k] ~ /^[a-z0-9.][a-z0-9.-]*$/)
            found = found " " part[k]
    }
    return substr(found, 2)
}

function takes_file(i) {
    return arg[i] ~ /FILE|PATH|\.[a-z]+$/ && words(i) == ""
}

function takes_directory(i) {
    return arg[i] == "DIR"
}

# Up to its first ";" that is in no brackets and no quotes.
function short_help(i,    part, n, k, s, copy) {
    n = split(help[i], part, "; ")
    for (k = 1; k <= n; k++) {
        s = s (k > 1 ? "; " : "") part[k]
        copy = s
        if (gsub(/\[/, "", copy) == gsub(/\]/, "", copy) && gsub(/'/, "", copy) % 2 == 0)
            break
    }
    sub(/^\.\.\. /, "", s)
    return s
}

function replaced(s, what, by,    at, done) {
    while ((at = index(s, what)) > 0) {
        done = done substr(s, 1, at - 1) by
        s = substr(s, at + length(what))
    }
    return done s
}

# --- the manual page ----------------------------------------------------------------------------

function man_text(s) {
    s = replaced(s, "\\", "\\e")
    s = replaced(s, "'", "\\(aq")
    s = replaced(s, "\"", "\\(dq")
    return s
}

# Words, of which those that begin with "-" are flags, in lines that are not too long.
function man_words(s,    word, n, k, line) {
    n = split(s, word, " ")
    for (k = 1; k <= n; k++) {
        s = man_text(word[k])
        if (s ~ /^(\\\(aq)?-/)
            s = replaced(s, "-", "\\-")
        if (line != "" && length(line) + length(s) > 76) {
            print line
            line = ""
        }
        line = line (line != "" ? " " : s ~ /^\./ ? "\\&" : "") s
    }
    print line
}

function man_options(    g, i, k, n, s, other) {
    for (g = 1; g <= groups; g++) {
        print ".Ss " title[g]
        print ".Bl -tag -width Ds"
        for (i = 1; i <= options; i++) {
            if (of_group[i] != group[g])
                continue
            s = ".It"
            if (letter[i] != "")
                s = s " Fl " letter[i] (name[i] != "" ? " ," : "")
            if (name[i] != "")
                s = s " Fl -" name[i]
            n = split(alias[id[i]], other, " ")
            for (k = 1; k <= n; k++)
                s = s " , Fl -" other[k]
            print s (arg[i] != "" ? " Ar \"" man_text(arg[i]) "\"" : "")
            man_words(help[i])
        }
        print ".El"
    }
}

function man(    k, s, literal) {
    for (k = 1; k <= page_lines; k++) {
        s = page[k]
        if (s ~ /^\.Ed/)
            literal = 0
        if (literal) {
            s = (s ~ /^\./ ? "\\&" : "") replaced(man_text(s), "-", "\\-")
        } else if (s == ".\\\" the flags of the table") {
            man_options()
            continue
        }
        print s
        if (s ~ /^\.Bd/)
            literal = 1
    }
}

# --- the completions ----------------------------------------------------------------------------

function bash(    i, s, all, none) {
    print "# Completion of sparp for bash."
    print "_sparp() {"
    print "    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}"
    print "    if [ \"$current\" = = ]; then"
    print "        current=''"
    print "    elif [ \"$previous\" = = ]; then"
    print "        previous=${COMP_WORDS[COMP_CWORD - 2]}"
    print "    fi"
    print "    local words=''"
    print "    case $previous in"
    for (i = 1; i <= options; i++) {
        s = (letter[i] != "" ? "-" letter[i] : "")
        if (name[i] != "")
            s = s (s != "" ? "|" : "") "--" name[i]
        all = all " " replaced(s, "|", " ")
        if (arg[i] == "" || takes_file(i))
            continue
        if (takes_directory(i))
            print "        " s ") compopt -o dirnames +o default; return ;;"
        else if (words(i) != "")
            print "        " s ") words='" words(i) "' ;;"
        else
            none = none (none != "" ? "|" : "") s
    }
    print "        " none ") compopt +o default; return ;;"
    print "        *) case $current in"
    print "            -*) words='" substr(all, 2) "' ;;"
    print "        esac ;;"
    print "    esac"
    print "    [ -z \"$words\" ] || mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")"
    print "}"
    print "complete -o default -F _sparp sparp"
}

function zsh_text(s) {
    s = replaced(s, "\\", "\\\\")
    s = replaced(s, "[", "\\[")
    s = replaced(s, "]", "\\]")
    s = replaced(s, ":", "\\:")
    return replaced(s, "'", "'\\''")
}

function zsh_argument(i,    does) {
    does = " "
    if (words(i) != "")
        does = "(" words(i) ")"
    else if (takes_directory(i))
        does = "_files -/"
    else if (takes_file(i))
        does = arg[i] ~ /@/ ? "{compset -P \"*@\" && _files}" : "_files"
    return ":" zsh_text(arg[i]) ":" does
}

function zsh(    i, s, many, text) {
    print "#compdef sparp"
    print "_arguments -s -S \\"
    for (i = 1; i <= options; i++) {
        text = "[" zsh_text(short_help(i)) "]" (arg[i] != "" ? zsh_argument(i) : "")
        many = help[i] ~ /repeatable/ || name[i] == "verbose"
        if (letter[i] != "" && name[i] != "")
            s = "'" (many ? "*" : "(-" letter[i] " --" name[i] ")") "'{-" letter[i] \
                (arg[i] != "" ? "+" : "") ",--" name[i] (arg[i] != "" ? "=" : "") "}'"
        else
            s = "'" (many ? "*" : "") (name[i] != "" ? "--" name[i] (arg[i] != "" ? "=" : "") \
                                       : "-" letter[i] (arg[i] != "" ? "+" : ""))
        print "    " s text "' \\"
    }
    print "    '*:FILE or URL:_files'"
}

function fish_text(s) {
    return replaced(replaced(s, "\\", "\\\\"), "'", "\\'")
}

function fish(    i, s) {
    print "# Completion of sparp for fish."
    for (i = 1; i <= options; i++) {
        s = "complete -c sparp"
        if (letter[i] != "")
            s = s " -s " letter[i]
        if (name[i] != "")
            s = s " -l " name[i]
        if (arg[i] != "")
            s = s (takes_file(i) ? " -r" : " -x")
        if (takes_directory(i))
            s = s " -a '(__fish_complete_directories)'"
        else if (words(i) != "")
            s = s " -a '" words(i) "'"
        print s " -d '" fish_text(short_help(i)) "'"
    }
}

END {
    read_table()
    if (options == 0 || groups == 0) {
        print "options.awk: no table of flags" >"/dev/stderr"
        exit 1
    }
    if (form == "man") man()
    if (form == "bash") bash()
    if (form == "zsh") zsh()
    if (form == "fish") fish()
}
