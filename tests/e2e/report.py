"""What cli_report.sh asks of a page of --report, and of pictures of it.

    report.py records SEED COUNT SECONDS [worst]   records of a run with an incident in it
    report.py figures PAGE        its figures as JSON
    report.py check PAGE          strict: every element closed, nothing from elsewhere, no script
    report.py html5 PAGE          no parse error, by html5lib (77: it is not here)
    report.py probe PAGE WIDTH... the page in frames, with a script that says how wide it is
    report.py picture PNG W H     it is that large, and not blank
    report.py shrink PNG PNG      the same picture in fewer bytes, for the README
"""
import html
import json
import math
import random
import re
import struct
import sys
import xml.etree.ElementTree as tree
import zlib
from html.parser import HTMLParser

VOID = {"meta", "br", "path", "rect"}
NUMBERS = {"us": 1e-3, "ms": 1, "s": 1e3, "min": 6e4}


def record(dice, index, at, share):
    """A request of a run in which the server is slow, and says 429, from 0.45 to 0.65."""
    incident = 0.45 < share < 0.65
    took = dice.lognormvariate(math.log(42), 0.35)
    outcome, status, error, tries, waits = "success", 200, None, {}, {"slot": dice.random() * 30}
    if incident:
        took *= 1 + 4 * math.sin((share - 0.45) / 0.2 * math.pi)
        waits["slot"] *= 8
        if dice.random() < 0.25:
            tries, waits["gate"] = {"429": dice.randint(1, 3)}, dice.uniform(200, 2500)
        if dice.random() < 0.03:
            outcome, status, took = "soft_exhausted", 429, dice.uniform(3, 6)
        elif dice.random() < 0.01:
            outcome, status, took = "timeout_exhausted", None, 3000 + dice.random()
            error = {"kind": "timeout", "phase": "first_byte", "message": "no byte for 3 s"}
    if dice.random() < 0.007:
        outcome, status, error = "hard_fail", 404, None
    if dice.random() < 0.001:
        outcome, status, error = "transport_failed", None, {"kind": "refused", "message": "no"}
    host = dice.choice(["api.example.com"] * 7 + ["img.example.com"] * 2 +
                       ["cdn-%d.example.net" % dice.randint(0, 20)])
    return finish(index, at, host + "/items/%d" % index, outcome, status, error, took, waits, tries)


def worst(dice, index, at, _):
    """Anything that makes a page long: every status, every latency, long URLs, each wait."""
    status = dice.randint(100, 999)
    kinds = ["refused", "reset", "dns_not_found", "truncated", "tls_certificate", "closed"]
    error = {"kind": dice.choice(kinds), "message": "x"} if status > 980 else None
    waits = {name: dice.expovariate(1) * 10 ** dice.randint(0, 4)
             for name in ("slot", "rate", "origin", "gate", "backoff")}
    url = "host-%d.example/%s" % (dice.randint(0, 500), "&\"<'>" * 40)
    outcome = dice.choice(["success", "hard_fail", "soft_exhausted", "cancelled"])
    return finish(index, at, url, outcome, None if error else status, error,
                  10 ** dice.uniform(-3, 6), waits, {str(dice.randint(100, 999)): 1})


def finish(index, at, url, outcome, status, error, took, waits, tries):
    pause = sum(waits.values())
    r = {"index": index, "outcome": outcome, "status": status,
         "attempts": 1 + sum(tries.values())}
    if tries:
        r["retried"] = tries
    times = {"queue": pause, **waits, "total": took, "all": took + pause}
    r.update(url="https://" + url, t=round(at + (took + pause) / 1000, 3),
             ms={k: round(v, 3) for k, v in times.items()},
             bytes={"out": 210, "in": 900}, reused=index % 100 > 0)
    if error:
        r["error"] = error
    return r


def records(seed, count, seconds, kind=""):
    dice = random.Random(seed)
    make = worst if kind else record
    for i in range(count):
        print(json.dumps(make(dice, i, 1795176142 + seconds * i / count, i / count)))


def words(element):
    return " ".join("".join(element.itertext()).split())


def number(text):
    """Of "59,044", "46.5ms", "3.00s": what it is, latencies in milliseconds."""
    match = re.fullmatch(r"([0-9.,]+)(us|ms|s|min)?", text)
    return float(match[1].replace(",", "")) * NUMBERS.get(match[2], 1) if match else text


def count_in(title, what):
    match = re.search(r"([0-9,]+) ?" + what, title)
    return int(match[1].replace(",", "")) if match else 0


def figures(page):
    root = tree.parse(page).getroot()
    sections = {words(s.find("h2")): s for s in root.iter("section")}
    tables = {t.get("id"): [[number(words(c)) for c in row] for row in t.iter("tr")][1:]
              for t in root.iter("table")}
    tips = {name: [words(t) for t in s.iter("title")] for name, s in sections.items()}
    sums = {name: sum(count_in(t, name + r"(,|$)") for t in tips.get("Requests per second", []))
            for name in ("ok", "failed", "out of retries", "cut off")}
    sums["latencies"] = sum(count_in(t.split(": ")[1], r", half")
                            for t in tips.get("Latency over time", []))
    tiles = {}
    for li in root.iter("li"):
        if li.find("b") is not None:
            tiles[li.text.strip()] = number(words(li.find("b")))
    return {"title": words(root.find("body/h1")), "verdict": words(root.find("body/p")),
            "tiles": tiles, "tables": tables, "sums": sums, "sections": list(sections),
            "gaps": [words(li) for li in sections["What this page cannot tell"].iter("li")]
            if "What this page cannot tell" in sections else [],
            "captions": [words(c) for c in root.iter("figcaption")],
            "command": words(next(p for p in root.iter("pre") if p.get("id") == "command")),
            "pictures": [tree.tostring(s).decode() for s in root.iter("svg")]}


class Strict(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.wrong, self.ids = [], [], set()

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        identity = dict(attrs).get("id")
        if len(names) != len(set(names)) or (identity and identity in self.ids):
            self.wrong.append("twice in %s: %s" % (tag, names))
        if tag in ("script", "link", "img", "iframe", "object", "a") or any(
                name.startswith("on") or name in ("href", "src") for name in names):
            self.wrong.append("not of this page: %s %s" % (tag, names))
        self.ids.add(identity)
        self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open.pop()
        if tag not in VOID:
            self.wrong.append("empty " + tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append("closed, not open: " + tag)


def check(page):
    data = open(page, "rb").read()
    text = data.decode("utf-8")
    parser = Strict()
    parser.feed(text)
    parser.close()
    wrong = parser.wrong + parser.open
    if re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text):
        wrong.append("a control character")
    if re.search(r"@import|url\(|expression\(", text.split("</style>")[0]):
        wrong.append("a style from elsewhere")
    if not text.startswith("<!DOCTYPE html>\n"):
        wrong.append("no doctype")
    tree.fromstring(data)
    return wrong


def html5(page):
    try:
        import html5lib
    except ImportError:
        sys.exit(77)
    parser = html5lib.HTMLParser(strict=False)
    parser.parse(open(page, "rb"), transport_encoding="utf-8")
    return ["line %d: %s" % (where[0], what) for where, what, _ in parser.errors]


def probe(page, *widths):
    """In frames, for a browser's window has a least width; without the rule against scripts. The
    answers are in the title, for --dump-dom."""
    text = open(page, encoding="utf-8").read()
    text = re.sub(r"<meta http-equiv[^>]*/>", "", text, count=1)
    script = ("<script>var wide = document.documentElement.scrollWidth, out = [];"
              "document.querySelectorAll('body *').forEach(function (e) {"
              "var b = e.getBoundingClientRect();"
              "if (b.right > innerWidth + 0.5 || b.left < -0.5) out.push(e.tagName); });"
              "parent.postMessage('wide ' + wide + ' of ' + innerWidth + ' paper ' +"
              "getComputedStyle(document.body).backgroundColor + ' out ' + out.join() + ';', '*');"
              "</script>")
    text = html.escape(text.replace("</body>", script + "</body>"))
    print("<!DOCTYPE html><title></title><script>onmessage = function (e) {"
          "document.title += e.data; };</script>")
    for width in widths:
        print('<iframe width="%s" height="900" style="border:0" srcdoc="%s"></iframe>'
              % (width, text))


def read_png(path):
    """Width, height, bytes of a pixel, and the lines as they are filtered."""
    data = open(path, "rb").read()
    at, packed, head = 8, b"", None
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        if kind == b"IHDR":
            head = struct.unpack(">IIBB", data[at + 8:at + 18])
        if kind == b"IDAT":
            packed += data[at + 8:at + 8 + length]
        at += 12 + length
    return head[0], head[1], {2: 3, 6: 4}[head[3]], zlib.decompress(packed)


def picture(path, width, height):
    found_width, found_height, _, raw = read_png(path)
    drawn = len(raw) - raw.count(0)     # a blank picture is filtered to nothing but zeros
    wrong = []
    if (found_width, found_height) != (width, height):
        wrong.append("it is %d x %d" % (found_width, found_height))
    return wrong + ([] if drawn * 100 > len(raw) else ["hardly anything is drawn"])


def unfiltered(width, height, size, raw):
    """The lines of a PNG as they are (its specification, 9.2)."""
    last = bytearray(width * size)
    for y in range(height):
        start = y * (width * size + 1)
        how, line = raw[start], bytearray(raw[start + 1:start + 1 + width * size])
        for i in range(len(line)):
            left = line[i - size] if i >= size else 0
            corner = last[i - size] if i >= size else 0
            up = last[i]
            guess = left + up - corner
            near = min((abs(guess - left), 0, left), (abs(guess - up), 1, up),
                       (abs(guess - corner), 2, corner))[2]
            line[i] = (line[i] + (0, left, up, (left + up) // 2, near)[how]) & 255
        last = line
        yield line


def shrink(source, target, colours=48):
    """The same with a palette: what is drawn has few colours, but for the edges of letters."""
    width, height, size, raw = read_png(source)
    pixels = [[bytes(line[x:x + 3]) for x in range(0, width * size, size)]
              for line in unfiltered(width, height, size, raw)]
    count = {}
    for line in pixels:
        for pixel in line:
            count[pixel] = count.get(pixel, 0) + 1
    palette = sorted(count, key=count.get, reverse=True)[:colours]
    nearest = {pixel: min(range(len(palette)), key=lambda i: sum(
        (a - b) ** 2 for a, b in zip(pixel, palette[i]))) for pixel in count}
    lines = b"".join(b"\0" + bytes(nearest[pixel] for pixel in line) for line in pixels)
    with open(target, "wb") as out:
        out.write(b"\x89PNG\r\n\x1a\n")
        for kind, data in ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
                           (b"PLTE", b"".join(palette)), (b"IDAT", zlib.compress(lines, 9)),
                           (b"IEND", b"")):
            out.write(struct.pack(">I", len(data)) + kind + data
                      + struct.pack(">I", zlib.crc32(kind + data)))


def main(what, *args):
    if what == "records":
        return records(int(args[0]), int(args[1]), float(args[2]), *args[3:])
    if what == "figures":
        return print(json.dumps(figures(args[0])))
    if what == "shrink":
        return shrink(*args)
    if what == "probe":
        return probe(*args)
    found = {"check": check, "html5": html5}[what](args[0]) if what != "picture" else picture(
        args[0], int(args[1]), int(args[2]))
    for line in found[:5]:
        print("    " + line)
    sys.exit(1 if found else 0)


main(*sys.argv[1:])
