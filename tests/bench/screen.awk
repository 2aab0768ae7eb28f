# screen.awk - a picture of a terminal as SVG, from its lines as `tmux capture-pane -e` gives them.
#   awk -v title= -v columns=100 -f screen.awk lines >screen.svg        (LC_ALL=C)
# Each run of letters has its width, so that columns are columns in any font; blocks are drawn. The
# colours follow the reader's preference for light or dark; the background is part of the picture.

function escaped(what) {
    gsub(/&/, "\\&amp;", what)
    gsub(/</, "\\&lt;", what)
    return what
}

function letters(what, column, y) {
    if (what !~ /[^ ]/) return
    printf "<text x=\"%.1f\" y=\"%d\" textLength=\"%.1f\"%s>%s</text>\n", left + column * cell, \
        y + 13, length(what) * cell, style, escaped(what)
}

# `eighths` of each of so many cells; 0: a shade.
function blocks(count, eighths, column, y) {
    printf "<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"13\" class=\"%s\"/>\n", \
        left + column * cell, y + 2, (count - 1 + (eighths ? eighths / 8 : 1)) * cell, \
        eighths ? "bar" : "rest"
}

# One byte for each block: \001 .. \010 have so many eighths, \016 is the shade.
function one_byte_each(s,    i) {
    for (i = 8; i >= 1; i--) gsub("\342\226" sprintf("%c", 144 - i), sprintf("%c", i), s)
    gsub("\342\226\221", "\016", s)
    return s
}

# What follows ESC up to "m": colours, or the default again.
function restyle(codes) {
    style = codes ~ /(^|;)31($|;)/ ? " class=\"red\"" : codes ~ /(^|;)32($|;)/ ? " class=\"green\"" \
        : codes ~ /(^|;)33($|;)/ ? " class=\"yellow\"" : codes ~ /(^|;)2($|;)/ ? " class=\"dim\"" : ""
}

function row(s, y,    column, size) {
    for (column = 0; s != ""; s = substr(s, size + 1)) {
        size = 1
        if (match(s, /^\033\[[0-9;]*m/)) {
            size = RLENGTH
            restyle(substr(s, 3, size - 3))
        } else if (match(s, /^\010+[\001-\007]?/)) {
            size = RLENGTH
            blocks(size, index("\001\002\003\004\005\006\007\010", substr(s, size, 1)), column, y)
            column += size
        } else if (match(s, /^[\001-\007]/)) {
            blocks(1, index("\001\002\003\004\005\006\007\010", substr(s, 1, 1)), column, y)
            column++
        } else if (match(s, /^\016+/)) {
            size = RLENGTH
            blocks(size, 0, column, y)
            column += size
        } else if (match(s, /^[^\001-\010\016\033]+/)) {
            size = RLENGTH
            letters(substr(s, 1, size), column, y)
            column += size
        }
    }
}

BEGIN { cell = 7.5; left = 14; height = 17 }

{ lines[NR] = one_byte_each($0) }

END {
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" " \
        "height=\"%d\" role=\"img\" aria-label=\"%s\">\n", columns * cell + 2 * left, \
        NR * height + 24, columns * cell + 2 * left, NR * height + 24, escaped(title)
    print "<title>" escaped(title) "</title>"
    print "<style>"
    print "text { font: 12.5px ui-monospace, Menlo, Consolas, monospace; fill: #1f2328; white-space: pre }"
    print ".paper { fill: #f6f8fa } .bar { fill: #0b62c4 } .rest { fill: #d0d7de } .dim { fill: #59636e }"
    print ".red { fill: #cf222e } .green { fill: #1a7f37 } .yellow { fill: #9a6700 }"
    print "@media (prefers-color-scheme: dark) {"
    print "text { fill: #e6edf3 } .paper { fill: #161b22 } .bar { fill: #6cb2ff } .rest { fill: #30363d }"
    print ".dim { fill: #9198a1 } .red { fill: #ff7b72 } .green { fill: #6fd88f } .yellow { fill: #d29922 }"
    print "}"
    print "</style>"
    print "<rect width=\"100%\" height=\"100%\" rx=\"6\" class=\"paper\"/>"
    for (i = 1; i <= NR; i++) {
        style = ""
        row(lines[i], 12 + (i - 1) * height)
    }
    print "</svg>"
}
