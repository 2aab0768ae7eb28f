# graph.awk - a graph as SVG, from lines "SERIES X Y" ("_" for a blank in the name of a series).
#   awk -v title= -v x_title= -v y_title= -v log_y=0|1 -f graph.awk points >graph.svg
# The x axis is logarithmic, the y axis begins at 0 unless log_y. Colours follow the reader's
# preference for light or dark; the background is part of the picture.

function log10(x) { return log(x) / log(10) }

function at_x(x) { return left + (log10(x) - x_low) / (x_high - x_low) * width }

function at_y(y,    part) {
    part = log_y ? (log10(y) - y_low) / (y_high - y_low) : y / y_high
    return top + height - part * height
}

# 10000 as 10,000
function thousands(n,    s) {
    n += 0
    s = n ""
    if (n < 1000 || n != int(n)) return s
    return thousands(int(n / 1000)) sprintf(",%03d", n % 1000)
}

function short(y) {
    return y >= 100 ? sprintf("%.0f", y) : y >= 10 ? sprintf("%.1f", y) : sprintf("%.2f", y)
}

function escaped(what) {
    gsub(/&/, "\\&amp;", what)
    gsub(/</, "\\&lt;", what)
    return what
}

function text(x, y, anchor, class, what) {
    printf "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" class=\"%s\">%s</text>\n", \
        x, y, anchor, class, escaped(what)
}

function line(x1, y1, x2, y2, class) {
    printf "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"%s\"/>\n", \
        x1, y1, x2, y2, class
}

function style(    i, light, dark) {
    split("#0b62c4 #c2410c #15803d #7e22ce", light, " ")
    split("#6cb2ff #ff9d66 #6fd88f #c99cff", dark, " ")
    print "<style>"
    print "text { font: 13px sans-serif; fill: #1f2328 } .title { font-size: 16px; font-weight: bold }"
    print ".paper { fill: #ffffff } .grid { stroke: #d8dde3 } .axis { stroke: #59636e }"
    for (i = 1; i <= 4; i++)
        print ".l" i " { fill: none; stroke: " light[i] "; stroke-width: 2.5 }" \
            " .m" i ", .v" i " { fill: " light[i] " }"
    print "@media (prefers-color-scheme: dark) {"
    print "text { fill: #e6edf3 } .paper { fill: #0d1117 } .grid { stroke: #30363d } .axis { stroke: #9198a1 }"
    for (i = 1; i <= 4; i++)
        print ".l" i " { stroke: " dark[i] " } .m" i ", .v" i " { fill: " dark[i] " }"
    print "}"
    print "</style>"
}

# Different for each series, so that colour is not all that tells them apart.
function mark(i, x, y) {
    if (i == 1) printf "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" class=\"m1\"/>\n", x, y
    else if (i == 2) printf "<rect x=\"%.1f\" y=\"%.1f\" width=\"8\" height=\"8\" class=\"m2\"/>\n", \
        x - 4, y - 4
    else printf "<path d=\"M%.1f %.1f l5 9 h-10 z\" class=\"m%d\"/>\n", x, y - 5, i
}

# The highest of the axis, and the step between two lines: 1, 2 or 5 times a power of ten.
function scale_y(highest,    power, i, steps) {
    split("1 2 5 10", steps, " ")
    power = 10 ^ (int(log10(highest / 4) + 100) - 100)
    for (i = 1; i <= 4; i++) {
        y_step = steps[i] * power
        if (highest / y_step <= 5) break
    }
    y_high = y_step * (int(highest / y_step) + 1)
}

function grid(    y, power, i, steps) {
    if (!log_y) {
        for (i = 0; i * y_step <= y_high + y_step / 1000; i++) {
            line(left, at_y(i * y_step), left + width, at_y(i * y_step), "grid")
            text(left - 8, at_y(i * y_step) + 4, "end", "tick", thousands(i * y_step))
        }
        return
    }
    split("1 2 5", steps, " ")
    for (power = -2; power <= 8; power++)
        for (i = 1; i <= 3; i++) {
            y = steps[i] * 10 ^ power
            if (log10(y) < y_low - 0.001 || log10(y) > y_high + 0.001) continue
            line(left, at_y(y), left + width, at_y(y), "grid")
            text(left - 8, at_y(y) + 4, "end", "tick", thousands(y))
        }
}

function series(i,    p, path, x, y) {
    path = ""
    for (p = 1; p <= count[i]; p++)
        path = path sprintf("%s%.1f %.1f", p == 1 ? "M" : " L", at_x(xs[i, p]), at_y(ys[i, p]))
    print "<path d=\"" path "\" class=\"l" i "\"/>"
    for (p = 1; p <= count[i]; p++) {
        x = at_x(xs[i, p])
        y = at_y(ys[i, p])
        print "<g><title>" name[i] ", " thousands(xs[i, p]) ": " short(ys[i, p]) "</title>"
        mark(i, x, y)
        print "</g>"
    }
    label_x[i] = x + 9
    label_y[i] = y + 4
}

# Behind the last point of each series its value; from the lowest up, none over another.
function labels(    i, k, lowest, last, done) {
    last = 1e9
    for (k = 1; k <= num_series; k++) {
        lowest = 0
        for (i = 1; i <= num_series; i++)
            if (!(i in done) && (!lowest || label_y[i] > label_y[lowest])) lowest = i
        done[lowest] = 1
        if (label_y[lowest] > last - 14) label_y[lowest] = last - 14
        last = label_y[lowest]
        text(label_x[lowest], last, "start", "v" lowest, short(ys[lowest, count[lowest]]))
    }
}

{
    gsub(/_/, " ", $1)
    if (!($1 in number)) {
        number[$1] = ++num_series
        name[num_series] = $1
    }
    i = number[$1]
    p = ++count[i]
    xs[i, p] = $2
    ys[i, p] = $3
    if (NR == 1 || $3 + 0 > most) most = $3 + 0
    if (NR == 1 || $3 + 0 < least) least = $3 + 0
    if (NR == 1 || $2 + 0 > last_x) last_x = $2 + 0
    if (NR == 1 || $2 + 0 < first_x) first_x = $2 + 0
    if (!($2 in ticks)) ticks[$2] = 1
}

END {
    if (NR == 0) exit 1
    left = 70; top = 76; width = 600; height = 300
    x_low = log10(first_x)
    x_high = log10(last_x)
    if (x_high == x_low) x_high++
    if (log_y) {
        y_low = log10(least) - 0.15
        y_high = log10(most) + 0.15
    } else {
        scale_y(most)
    }
    title = escaped(title)
    print "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 740 440\" width=\"740\"" \
        " height=\"440\" role=\"img\" aria-label=\"" title "\">"
    print "<title>" title "</title>"
    style()
    print "<rect width=\"740\" height=\"440\" class=\"paper\"/>"
    print "<text x=\"16\" y=\"28\" class=\"title\">" title "</text>"
    text(16, 62, "start", "name", y_title)
    grid()
    for (x in ticks) {
        line(at_x(x), top + height, at_x(x), top + height + 5, "axis")
        text(at_x(x), top + height + 20, "middle", "tick", thousands(x))
    }
    line(left, top + height, left + width, top + height, "axis")
    text(left + width / 2, top + height + 46, "middle", "name", x_title)
    for (i = 1; i <= num_series; i++) {
        series(i)
        mark(i, 250 + (i - 1) * 160, 57)
        text(260 + (i - 1) * 160, 62, "start", "name", name[i])
    }
    labels()
    print "</svg>"
}
