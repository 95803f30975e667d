#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The golden list: for each line of `list` the program says what NAME.expected holds.   golden_test.py [--update] [NAME...]"""
import difflib
import hashlib
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.environ.get("WS_ROOT", os.path.join(HERE, "../.."))
WIRESPOOL = os.path.abspath(os.environ.get("WIRESPOOL", os.path.join(ROOT, "build/app/wirespool")))


def lines():
    with open(os.path.join(HERE, "list"), encoding="ascii") as f:
        for line in f:
            if line.strip() and not line.startswith("#"):
                name, _, words = line.partition("|")
                yield name.strip(), words.split()


def run(words):
    with tempfile.TemporaryDirectory(prefix="ws-golden-") as out:
        places = {"{data}": os.path.join(ROOT, "tests", "data"), "{out}": out}
        command = []
        for word in words:
            for key, value in places.items():
                word = word.replace(key, value)
            command.append(word)
        done = subprocess.run([WIRESPOOL, *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False,
                              env=dict(os.environ, TZ="UTC"))
        text = f"exit {done.returncode}\n" + done.stdout.decode("utf-8", "replace").replace(out, "{out}").replace(places["{data}"], "{data}")
        for base, dirs, names in os.walk(out):
            dirs.sort()
            for name in sorted(names):
                path = os.path.join(base, name)
                with open(path, "rb") as f:
                    body = f.read()
                text += f"file {os.path.relpath(path, out)} {len(body)} {hashlib.sha256(body).hexdigest()[:16]}\n"
        return text


def main():
    update = "--update" in sys.argv
    only = [x for x in sys.argv[1:] if x != "--update"]
    failed = ran = 0
    for name, words in lines():
        if only and name not in only:
            continue
        ran += 1
        path = os.path.join(HERE, name + ".expected")
        text = run(words)
        if update:
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            continue
        want = ""
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                want = f.read()
        if text != want:
            failed += 1
            print(f"FAIL {name}: wirespool {' '.join(words)}")
            print("\n".join(difflib.unified_diff(want.splitlines(), text.splitlines(), "expected", "got", lineterm="", n=1)))
    print(f"{ran} run, {failed} failed")
    sys.exit(1 if failed or not ran else 0)


if __name__ == "__main__":
    main()
