# SPDX-License-Identifier: Apache-2.0
"""What leaves the libraries is what takt.h declares: symbols.py SHARED STATIC HEADER."""

import re
import subprocess
import sys
import unittest
from pathlib import Path

import tap

HEADER = Path(sys.argv.pop())
STATIC = sys.argv.pop()
SHARED = sys.argv.pop()


class SymbolsTest(unittest.TestCase):
    def setUp(self):
        listed = subprocess.run(
            ["nm", "-D", "--defined-only", SHARED], check=True, capture_output=True, text=True
        ).stdout
        self.exported = {line.split()[-1] for line in listed.splitlines() if " T " in line}

    def test_every_symbol_has_a_version(self):
        self.assertEqual({s for s in self.exported if not s.endswith("@@TAKT_0.1")}, set())

    def test_the_static_library_has_the_same_global_names(self):
        listed = subprocess.run(
            ["nm", "-g", "--defined-only", STATIC], check=True, capture_output=True, text=True
        ).stdout
        names = {line.split()[-1] for line in listed.splitlines() if len(line.split()) == 3}
        self.assertEqual(names, {s.partition("@@")[0] for s in self.exported})

    def test_exported_is_what_the_header_declares(self):
        text = re.sub(r"/\*.*?\*/|^typedef[^;]*;", "", HEADER.read_text(), flags=re.S | re.M)
        declared = set(re.findall(r"\b(takt_[a-z_]+)\(", text))
        self.assertEqual({s.partition("@@")[0] for s in self.exported}, declared)

    def test_the_functions_have_manual_pages_that_name_them(self):
        man = HEADER.parents[2] / "man"
        pages = "".join(p.read_text() for p in man.glob("*.3.scd")).replace("\\", "")
        for symbol in sorted(self.exported):
            self.assertIn(symbol.partition("@@")[0], pages)


if __name__ == "__main__":
    tap.main()
