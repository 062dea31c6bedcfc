# SPDX-License-Identifier: Apache-2.0
"""What lies in deploy/ fits together: the chart's versions are ours, and its schema knows exactly the values
that there are. That the manifests are the chart's, tools/render-manifests --check tells with helm."""

import json
import re
import unittest
from pathlib import Path

import tap

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "deploy" / "helm" / "takt"
RESV = "src/core/model/resv.c"


def keys_of_values():
    """Path of each map and value of values.yaml, by its indentation."""
    found, above = set(), []
    for line in (CHART / "values.yaml").read_text().splitlines():
        match = re.match(r"( *)([A-Za-z]+):", line)
        if match:
            above = [*above[: len(match[1]) // 2], match[2]]
            found.add(".".join(above))
    return found


def keys_of_schema(schema, prefix=""):
    for key, value in schema.get("properties", {}).items():
        yield prefix + key
        yield from keys_of_schema(value, f"{prefix}{key}.")


class Deploy(unittest.TestCase):
    def test_the_chart_has_the_version_of_the_programs(self):
        version = re.search(r"version: '([^']+)'", (ROOT / "meson.build").read_text())[1]
        chart = (CHART / "Chart.yaml").read_text()
        self.assertIn(f"\nversion: {version}\n", chart)
        self.assertIn(f"\nappVersion: {version}\n", chart)

    def test_the_schema_knows_the_values_that_there_are_and_no_others(self):
        schema = json.loads((CHART / "values.schema.json").read_text())
        known = set(keys_of_schema(schema)) - {"global"}  # Helm's own
        # What Kubernetes itself reads is one value.
        given = {k for k in keys_of_values() if not re.match(r"nodeSelector\.|.*\.resources\.", k)}
        self.assertEqual(given, known)

    def test_each_placement_of_a_reservation_is_taken_or_refused_by_name(self):
        names = re.findall(r'\[PLACEMENT_[A-Z]+\] = "(\w+)"', (ROOT / RESV).read_text())
        policy = (CHART / "templates" / "policy-parameters.yaml").read_text()
        lists = re.findall(r"o\.map\.placement in (\[[^]]+\])", policy)
        taken, refused = (set(re.findall(r"\w+", words)) for words in lists)
        self.assertEqual(taken, {"auto", "shared", "pinned"})  # check_placement() of dra/claim.c
        self.assertEqual(taken | refused, set(names) - {"none"})


if __name__ == "__main__":
    tap.main()
