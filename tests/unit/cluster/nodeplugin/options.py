#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""takt-dra's command line, as far as it gets without a cluster: options.py TAKT-DRA."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import tap

PROGRAM = sys.argv.pop(1)


def run(*words):
    env = {k: v for k, v in os.environ.items() if k != "NODE_NAME"}
    done = subprocess.run([PROGRAM, *words], env=env, capture_output=True, text=True, timeout=20)
    return done.returncode, done.stdout, done.stderr


class Options(unittest.TestCase):
    def test_a_share_that_is_none_is_refused_with_an_example(self):
        for wrong in ("2", "0", "-1", "nan", "x", "0.3x", "", "1.0001"):
            status, _, err = run("--node", "a", "--max-task-utilisation", wrong)
            self.assertEqual(status, 64, wrong)
            self.assertIn(f"--max-task-utilisation {wrong}: write a share", err)

    def test_a_share_that_is_one_is_taken(self):
        for right in ("1", "0.3", "1e-3"):
            status, _, err = run(
                *("--node", "a", "--max-task-utilisation", right),
                *("--kubeconfig", "/nonexistent/kubeconfig"),
            )
            self.assertEqual(status, 70, err)
            self.assertIn("/nonexistent/kubeconfig", err)

    def test_a_start_that_fails_ends_in_good_order_wherever_it_is(self):
        with tempfile.TemporaryDirectory() as folder:
            config = Path(folder) / "config"
            config.write_text(json.dumps({
                "current-context": "c",
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
                "users": [{"name": "u", "user": {"token": "x"}}],
            }))
            for words, sentence in (
                (["--kubeconfig", "/nonexistent/kubeconfig"], "/nonexistent/kubeconfig"),
                (["--kubeconfig", config, "--socket", "/" + 200 * "s"], 200 * "s"),
                (["--kubeconfig", config, "--kubelet-dir", "/nonexistent/kubelet"], "make /none"),
                (["--kubeconfig", config, "--kubelet-dir", "/nonexistent/kubelet",
                  "--nri-socket", "none"], "make /none"),
            ):
                status, _, err = run("--node", "a", *words)
                self.assertEqual(status, 70, err)
                self.assertIn(sentence, err)

    def test_without_the_nodes_name_it_says_so(self):
        status, _, err = run()
        self.assertEqual(status, 64)
        self.assertIn("--node", err)

    def test_an_instance_is_a_part_of_a_sockets_name(self):
        for wrong in ("", "a/b", "..//", "a b", 64 * "x"):
            status, _, err = run("--node", "a", "--instance", wrong)
            self.assertEqual(status, 64, wrong)
            self.assertIn(f"instance '{wrong}'", err)
        status, _, err = run(
            *("--node", "a", "--instance", "5a4a72d0-0c5b-4b0e-9f0a-6d1c7b3e8f21"),
            *("--kubeconfig", "/nonexistent/kubeconfig"),
        )
        self.assertEqual(status, 70, err)

    def test_help_names_every_option(self):
        status, out, _ = run("--help")
        self.assertEqual(status, 0)
        options = ("node", "kubeconfig", "socket", "kubelet-dir", "instance", "nri-socket")
        for option in (*options, "max-task-utilisation"):
            self.assertIn(f"--{option} ", out)


if __name__ == "__main__":
    tap.main()
