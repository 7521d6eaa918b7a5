#!/usr/bin/env python3
"""Style as a test: who may include whom, which calls are banned where, how long things may be.

tidy.py ROOT checks the tree and names every offender; tidy.py --self-test proves that each rule
can fail. Reads text alone: no compiler, no build.
"""

import re
import sys
from pathlib import Path

LINES_MAX = 600
COLUMNS_MAX = 100
FUNCTION_LINES_MAX = 70

# Folder -> the project folders that it may include besides itself (DESIGN.md 2).
LAYERS = {
    "daemon/core": [],
    "daemon/store": ["daemon/core"],
    # The registry's tariffs are TOML like the configuration, and share its reader.
    "daemon/engine": ["daemon/core", "daemon/store", "daemon/config"],
    "daemon/mqtt": ["daemon/core", "daemon/store", "daemon/engine"],
    "daemon/http": ["daemon/core", "daemon/store", "daemon/engine"],
    "daemon/config": ["daemon/core"],
    "daemon/ctl": ["daemon/core", "daemon/config"],
    "drivers/modbus": ["daemon/core"],
    "drivers/cabinet": ["daemon/core", "drivers/modbus"],
    "drivers/simulator": ["daemon/core", "drivers/modbus"],
}
# A third-party header -> the only places that may include it.
OWNERS = [
    (re.compile(r"^modbus(/modbus)?\.h$"), ["drivers/modbus/link.cpp"]),
    (re.compile(r"^(mqtt/|MQTT)"), ["daemon/mqtt/link.cpp"]),
    (re.compile(r"^xlsxwriter\.h$"), ["daemon/http/workbook.cpp"]),
    (re.compile(r"^(sqlite3\.h|SQLiteCpp/)"), ["daemon/store/"]),
    (re.compile(r"^boost/(asio|beast)"), ["daemon/http/", "daemon/main.cpp", "daemon/service", "daemon/ctl/",
                                       "drivers/simulator/"]),
    (re.compile(r"^(CLI/|toml\+\+/|spdlog/|systemd/)"), ["daemon/", "drivers/"]),
]
CORE_THIRD_PARTY = re.compile(r"^boost/system/")
STANDARD = re.compile(r"^[a-z0-9_]+$")

CLOCKLESS = ["daemon/core/", "daemon/engine/"]
BANNED_CALLS = re.compile(
    r"\b(?:system_clock|steady_clock|high_resolution_clock)::now\b|\brandom_device\b"
    r"|\b(?:sleep_for|sleep_until|usleep|nanosleep|clock_gettime|gettimeofday|getrandom"
    r"|randombytes_buf|srand)\b|(?<![\w.:>])(?:std::)?(?:rand|time|sleep)\s*\((?:\s*(?:NULL|nullptr|0))?\s*\)")
POINTLESS = ["daemon/core/", "daemon/engine/", "daemon/store/"]
FLOATING = re.compile(r"\b(?:double|float)\b")
# g++ 12 destroys such temporaries of a co_await expression twice (style.md, finding 4).
AWAIT_TRAPS = [re.compile(r"co_await[^;]*\[[^]]+\]\s*[({]"), re.compile(r"co_await[^;]*[({,]\s*\{")]
UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX)\b")


def without_comments_and_strings(text):
    """Blanks comments and literals but keeps every line where it was."""
    pattern = re.compile(
        r'R"(?P<tag>[^()\s]{0,16})\(.*?\)(?P=tag)"|//[^\n]*|/\*.*?\*/'
        r"|\"(?:\\.|[^\"\\\n])*\"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'", re.S)

    def blank(match):
        found = match.group(0)
        inner = "".join(c if c == "\n" else " " for c in found)
        return '""' + inner[2:] if found[0] in "\"R" and len(found) >= 2 else inner

    return pattern.sub(blank, text)


def includes(text):
    for number, line in enumerate(text.split("\n"), 1):
        match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if match:
            yield number, match.group(1) == '"', match.group(2)


def folder_of(path):
    return next((layer for layer in LAYERS if path.startswith(layer + "/")), None)


def check_layers(path, text):
    layer = folder_of(path)
    for number, own, name in includes(text):
        if own and layer:
            allowed = [layer] + LAYERS[layer]
            if not any(name.startswith(folder + "/") for folder in allowed):
                yield number, f"{layer} must not include {name}"
        if not own and layer == "daemon/core":
            if not STANDARD.match(name) and not CORE_THIRD_PARTY.match(name):
                yield number, f"core includes no third party but boost/system, not <{name}>"
        for pattern, owners in OWNERS:
            if pattern.match(name) and not own and path.startswith(("daemon/", "drivers/")):
                if not any(path.startswith(owner) for owner in owners):
                    yield number, f"<{name}> belongs to {', '.join(owners)} alone"


def check_calls(path, code):
    for number, line in enumerate(code.split("\n"), 1):
        if any(path.startswith(folder) for folder in CLOCKLESS):
            if match := BANNED_CALLS.search(line):
                yield number, f"{match.group(0)}: time and randomness are given, never asked for"
        if any(path.startswith(folder) for folder in POINTLESS):
            if match := FLOATING.search(line):
                yield number, f"{match.group(0)}: integers alone where money and energy are kept"
    for trap in AWAIT_TRAPS:
        for match in trap.finditer(code):
            yield code.count("\n", 0, match.start()) + 1, \
                "temporary in a co_await expression: name it, then std::move it"


def check_sizes(path, text):
    lines = text.split("\n")
    count = len(lines) - (1 if lines and lines[-1] == "" else 0)
    if count > LINES_MAX:
        yield LINES_MAX + 1, f"{count} lines, at most {LINES_MAX}"
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS_MAX:
            yield number, f"{len(line)} columns, at most {COLUMNS_MAX}"
        if UNFINISHED.search(line):
            yield number, "finish it or open an issue"


def check_functions(path, code):
    """Functions outside classes: from a brace that ends a line to a brace in the first column."""
    if not path.startswith(("daemon/", "drivers/")):
        return
    start = None
    for number, line in enumerate(code.split("\n"), 1):
        if start is None:
            if re.match(r"[\w:~].*\)[^;=]*\{\s*$", line) or re.match(r"\s+.*\)[^;=]*\{\s*$", line):
                if not line.startswith(" "):
                    start = number
        elif line.startswith("}"):
            length = number - start + 1
            if length > FUNCTION_LINES_MAX:
                yield start, f"function of {length} lines, at most {FUNCTION_LINES_MAX}"
            start = None


def check_header(path, text):
    if path.endswith(".hpp"):
        if "#pragma once" not in text:
            yield 1, "a header says #pragma once"
        if not text.startswith("//"):
            yield 1, "a header opens with what it is, what it is not, which thread"


def check(path, text):
    if path.endswith((".cpp", ".hpp", ".h")):
        code = without_comments_and_strings(text)
        yield from check_layers(path, text)
        yield from check_calls(path, code)
        yield from check_functions(path, code)
        yield from check_header(path, text)
    yield from check_sizes(path, text)


def check_tree(root):
    files = [f for top in ("daemon", "drivers", "tests") for f in sorted((root / top).rglob("*"))
             if f.suffix in (".cpp", ".hpp", ".h", ".py") and f.is_file()
             and "node_modules" not in f.parts and f.name != "tidy.py"]
    offenders = 0
    for file in files:
        path = file.relative_to(root).as_posix()
        for number, message in check(path, file.read_text(encoding="utf-8")):
            print(f"{path}:{number}: {message}")
            offenders += 1
    print(f"{len(files)} files, {offenders} offences")
    return 1 if offenders or not files else 0


CANARIES = [
    ("daemon/core/a.cpp", '#include "daemon/engine/engine.hpp"\n', "must not include"),
    ("daemon/store/a.cpp", '#include "daemon/engine/engine.hpp"\n', "must not include"),
    ("daemon/mqtt/a.cpp", '#include "daemon/http/server.hpp"\n', "must not include"),
    ("daemon/http/a.cpp", '#include "daemon/mqtt/publisher.hpp"\n', "must not include"),
    ("drivers/modbus/a.cpp", '#include "daemon/engine/engine.hpp"\n', "must not include"),
    ("daemon/core/a.cpp", "#include <fmt/format.h>\n", "no third party"),
    ("drivers/modbus/poll.cpp", "#include <modbus/modbus.h>\n", "link.cpp alone"),
    ("daemon/mqtt/publisher.cpp", "#include <mqtt/async_client.h>\n", "link.cpp alone"),
    ("daemon/engine/a.cpp", "#include <sqlite3.h>\n", "daemon/store/ alone"),
    ("daemon/core/a.cpp", "auto n = std::chrono::system_clock::now();\n", "never asked for"),
    ("daemon/engine/a.cpp", "auto n = time(nullptr);\n", "never asked for"),
    ("daemon/engine/a.cpp", "std::this_thread::sleep_for(1s);\n", "never asked for"),
    ("daemon/store/a.cpp", "double price = 0;\n", "integers alone"),
    ("daemon/http/a.cpp", "co_await run([s] { return s; });\n", "co_await"),
    ("daemon/http/a.cpp", "co_await send(\n    {1, 2});\n", "co_await"),
    ("daemon/core/a.cpp", "int a;\n" * 601, "at most 600"),
    ("daemon/core/a.cpp", "//" + "a" * 99 + "\n", "at most 100"),
    ("daemon/core/a.cpp", "int f() {\n" + "    g();\n" * 70 + "}\n", "function of 72 lines"),
    ("daemon/core/a.cpp", "// TODO later\n", "finish it"),
    ("daemon/core/a.hpp", "// What it is.\n", "#pragma once"),
    ("daemon/core/a.hpp", "#pragma once\n", "opens with"),
]
INNOCENT = [
    ("daemon/core/a.cpp", '#include <map>\n#include <boost/system/result.hpp>\n'
                          '#include "daemon/core/time.hpp"\n// a double is never used: time(0)\n'
                          'auto s = "float";\nauto c = at.time(stamp);\nint big = 1\'000\'000;\n'),
    ("daemon/mqtt/link.cpp", "#include <mqtt/async_client.h>\n"),
    ("drivers/modbus/link.cpp", "#include <modbus/modbus.h>\n"),
    ("daemon/http/a.cpp", "co_await send(std::move(named), token);\nint a[2] = {1, 2};\n"),
]


def self_test():
    wrong = 0
    for path, text, expected in CANARIES:
        if not any(expected in message for _, message in check(path, text)):
            print(f"no rule caught {path}: {text[:60]!r} (expected {expected!r})")
            wrong += 1
    for path, text in INNOCENT:
        for number, message in check(path, text):
            print(f"an innocent line was called an offence: {path}:{number}: {message}")
            wrong += 1
    print(f"{len(CANARIES)} canaries, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: tidy.py ROOT | --self-test")
    sys.exit(self_test() if sys.argv[1] == "--self-test" else check_tree(Path(sys.argv[1])))
