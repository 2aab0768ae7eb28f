#!/usr/bin/env python3
"""Python without a binding: structs read from sparp.h, functions from the shared library.

    make shared
    examples/from_ctypes.py build/shared/libsparp.so http://127.0.0.1:8080/items/1 ...
"""
import ctypes
import os
import re
import sys

HEADER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "sparp.h")
TYPES = {"bool": ctypes.c_bool, "int": ctypes.c_int, "unsigned": ctypes.c_uint,
         "double": ctypes.c_double, "size_t": ctypes.c_size_t, "int64_t": ctypes.c_int64,
         "uint64_t": ctypes.c_uint64}


def read_header(path):
    """Adds every struct and enum of the header to TYPES; each struct as a ctypes.Structure."""
    text = re.sub(r"/\*.*?\*/", "", open(path, encoding="utf-8").read(), flags=re.S)
    text = text[:text.index("SPARP_IMPLEMENTED")]
    lists = re.findall(r"#define SPARP_(\w+)S\(X\)((?:.*\\\n)*.*)", text)
    counts = {"SPARP_%s_COUNT" % name: rows.count("X(") for name, rows in lists}
    for kind, name in re.findall(r"^typedef (enum|struct) (\w+) \{", text, re.M):
        body = re.search(r"^typedef %s %s \{(.*?)\n\} %s;" % (kind, name, name), text, re.M | re.S)
        if kind == "enum":
            TYPES[name] = ctypes.c_int
        else:
            TYPES[name] = type(name, (ctypes.Structure,),
                               {"_fields_": list(fields(body.group(1), counts))})


def fields(body, counts):
    for line in body.split(";"):
        function = re.search(r"\(\*(\w+)\)\(", line)
        if function:
            yield function.group(1), ctypes.c_void_p
            continue
        words = re.match(r"\s*(?:const )?(\w+)\s+(.*)", line, re.S)
        for name in words.group(2).split(",") if words else []:
            kind = TYPES.get(words.group(1))
            if "*" in name:
                kind = ctypes.c_char_p if words.group(1) == "char" else ctypes.c_void_p
            name, array = re.search(r"(\w+)(?:\[(\w+)\])?\s*$", name).groups()
            yield name, kind * counts[array] if array else kind


def main(library, *urls):
    lib = ctypes.CDLL(library)
    read_header(HEADER)
    lib.sparp_sizeof.restype = ctypes.c_size_t
    for name, kind in TYPES.items():
        size = lib.sparp_sizeof(name.encode())
        if size not in (0, ctypes.sizeof(kind)):
            sys.exit("%s has %d bytes here and %d there" % (name, ctypes.sizeof(kind), size))

    @ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(TYPES["sparp_result"]), ctypes.c_void_p)
    def on_result(_run, result, _user_data):
        r = result.contents
        print(r.status, r.url.decode(), r.body_size, "bytes")

    requests = (TYPES["sparp_request"] * len(urls))()
    for request, url in zip(requests, urls):
        request.url = url.encode()
    options = TYPES["sparp_options"](
        requests=ctypes.addressof(requests), num_requests=len(urls), max_at_once=1,
        on_result=ctypes.cast(on_result, ctypes.c_void_p).value)
    stats = TYPES["sparp_stats"]()
    error = lib.sparp_run_each(ctypes.byref(options), ctypes.byref(stats))
    print(stats.success, "of", stats.pulled, "succeeded")
    return 0 if error == 0 and stats.success == stats.pulled else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
