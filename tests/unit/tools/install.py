# SPDX-License-Identifier: Apache-2.0
"""What `make install` puts down fits together: install.py BUILD."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import tap

BUILD = sys.argv.pop()
UNITS = Path("/usr/lib/systemd/system")
with_systemd = unittest.skipUnless(
    shutil.which("systemd-analyze") and shutil.which("systemd-sysusers"), "systemd is not installed"
)


class InstallTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        command = ["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet"]
        subprocess.run(command, check=True, env={**os.environ, "DESTDIR": cls.folder.name})
        cls.root = Path(cls.folder.name)

    def the_one(self, name):
        found = list(self.root.rglob(name))
        self.assertEqual(len(found), 1, found)
        return found[0]

    def assertInstalled(self, path):
        self.assertTrue(os.access(self.root / path.lstrip("/"), os.X_OK), path)

    def test_the_unit_starts_a_program_that_is_there(self):
        unit = self.the_one("taktd.service").read_text()
        self.assertInstalled(re.search(r"^ExecStart=(\S+)$", unit, re.M).group(1))

    @with_systemd
    def test_systemd_finds_no_fault_in_the_units(self):
        shutil.copytree(UNITS, self.root / UNITS.relative_to("/"), symlinks=True)
        units = ["taktd.service", "taktd.socket"]
        command = ["systemd-analyze", "verify", "--man=no", f"--root={self.root}", *units]
        run = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual((run.returncode, run.stderr), (0, ""))

    @with_systemd
    def test_the_group_of_the_socket_is_made(self):
        group = re.search(r"^SocketGroup=(\S+)$", self.the_one("taktd.socket").read_text(), re.M)
        command = ["systemd-sysusers", "--dry-run", f"--root={self.root}", "takt.conf"]
        run = subprocess.run(command, check=True, capture_output=True, text=True)
        self.assertIn(f"Creating group '{group[1]}'", run.stdout + run.stderr)

    def test_the_hook_is_where_taktd_looks_for_it(self):
        taktd = self.the_one("taktd")
        told = subprocess.run([taktd, "--help"], check=True, capture_output=True, text=True).stdout
        self.assertInstalled(re.search(r"(/\S*/takt-hook)", told).group(1))

    def test_pkg_config_finds_the_library(self):
        folder = self.the_one("takt.pc").parent
        found = subprocess.run(
            ["pkg-config", "--define-variable=prefix=/there", "--cflags", "--libs", "takt"],
            check=True, capture_output=True, text=True,
            env={**os.environ, "PKG_CONFIG_PATH": str(folder)},
        )  # fmt: skip
        self.assertIn("-ltakt", found.stdout)

    def test_every_program_and_the_daemon_have_a_manual_page(self):
        for page in (
            "takt.1", "taktd.8", "takt-hook.8", "takt-dra.8", "taktd.conf.5", "takt-reservation.5"
        ):  # fmt: skip
            self.the_one(page)


if __name__ == "__main__":
    tap.main()
