# SPDX-License-Identifier: Apache-2.0
"""tools/check-includes refuses what the table forbids, each with its file and line."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import tap

TOOLS = Path(__file__).resolve().parents[3] / "tools"
TABLE = """
base   |      |
core   | base | $acts
node/a | base |
node/b | base |
$acts = time.h sys/*
"""


class CheckIncludes(unittest.TestCase):
    def setUp(self):
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        self.root = Path(made.name)
        (self.root / "table").write_text(TABLE)
        self.put("src/base/text.h", "#pragma once\n#include <stddef.h>\nsize_t text_len(void);\n")

    def put(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def check(self):
        command = [sys.executable, TOOLS / "check-includes", "--table", self.root / "table"]
        return subprocess.run([*command, self.root], capture_output=True, text=True)

    def refused(self, place, sentence):
        run = self.check()
        self.assertEqual(run.returncode, 1, run.stderr)
        self.assertIn(f"{self.root}/{place}: ", run.stderr)
        self.assertIn(sentence, run.stderr)
        self.assertEqual(len(run.stderr.splitlines()), 1, run.stderr)

    def test_a_tree_that_keeps_to_the_table_passes(self):
        self.put("src/core/x.h", '#pragma once\n#include "base/text.h"\n')
        self.put("src/core/x.c", '/* x */\n#include "core/x.h"\n#include <string.h>\n')
        run = self.check()
        self.assertEqual((run.returncode, run.stderr), (0, ""))

    def test_an_include_upward_is_refused(self):
        self.put("src/core/x.h", "#pragma once\n")
        self.put("src/base/bad.c", '#include <stdio.h>\n\n#include "core/x.h"\n')
        self.refused("src/base/bad.c:3", 'base may not include "core/x.h"')

    def test_an_include_sideways_is_refused(self):
        self.put("src/node/a/x.h", "#pragma once\n")
        self.put("src/node/b/bad.c", '#include "node/a/x.h"\n')
        self.refused("src/node/b/bad.c:1", 'node/b may not include "node/a/x.h"')

    def test_a_folder_below_follows_the_line_above_it(self):
        self.put("src/core/deep/x.h", '#pragma once\n#include "base/text.h"\n')
        self.put("src/base/bad.h", '#pragma once\n#include "core/deep/x.h"\n')
        self.refused("src/base/bad.h:2", 'base may not include "core/deep/x.h"')

    def test_a_system_header_that_the_folder_never_includes_is_refused(self):
        self.put("src/core/bad.c", "#include <stddef.h>\n#include <sys/socket.h>\n")
        self.refused("src/core/bad.c:2", "core never includes <sys/socket.h>")

    def test_a_private_header_of_another_folder_is_refused(self):
        self.put("src/core/deep/x_private.h", "#pragma once\n")
        self.put("src/core/bad.c", '#include "core/deep/x_private.h"\n')
        self.refused("src/core/bad.c:1", '"core/deep/x_private.h" is private to core/deep')

    def test_a_source_must_include_its_own_header_first(self):
        self.put("src/core/bad.h", "#pragma once\n")
        self.put("src/core/bad.c", '#include <stdio.h>\n#include "core/bad.h"\n')
        self.refused("src/core/bad.c:1", 'the first include is "core/bad.h"')

    def test_an_include_without_its_folder_is_refused(self):
        self.put("src/base/bad.c", '#include "text.h"\n')
        self.refused("src/base/bad.c:1", '"text.h": included by the path from src/')

    def test_a_folder_that_the_table_does_not_know_is_refused(self):
        self.put("src/new/bad.c", "#include <stdio.h>\n")
        self.refused("src/new/bad.c:1", "the folder new has no line in the table")

    def test_a_header_that_needs_another_one_before_it_is_refused(self):
        self.put("src/base/bad.h", "#pragma once\nsize_t bad_len(void);\n")
        run = self.check()
        self.assertEqual(run.returncode, 1)
        self.assertIn(f"{self.root}/src/base/bad.h:1: does not compile alone", run.stderr)


if __name__ == "__main__":
    tap.main()
