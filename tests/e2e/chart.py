# SPDX-License-Identifier: Apache-2.0
"""The Helm chart and what it renders, for tests that install it or parts of it."""

import os
import subprocess
from pathlib import Path

from agent import build_folder
from programs import source

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy" / "helm" / "takt"
NAMESPACE = "takt-system"
RELEASE = "takt"


def helm(*words, env=None):
    """Standard output of helm; raises with what it complains of."""
    done = subprocess.run(
        [source("helm").folder() / "helm", *words],
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise AssertionError(f"helm {' '.join(map(str, words))}: {done.stderr.strip()}")
    return done.stdout


def rendered(*options):
    """All manifests of the chart as one YAML text."""
    return helm("template", RELEASE, CHART, "--namespace", NAMESPACE, *options)


def policies():
    """Those that only the API server acts on."""
    shown = ("deviceclasses", "rbac", "policy-bandwidth", "policy-claims", "policy-parameters")
    names = [f"templates/{name}.yaml" for name in (*shown, "policy-slices")]
    return rendered(*(word for name in names for word in ("--show-only", name)))


EXAMPLES = ROOT / "deploy" / "examples"
EXAMPLE_IMAGE = "docker.io/library/busybox:1.37"  # what the examples call busybox:1.37


def install(cluster, *options):
    """Builds the image, imports it, and installs the chart as a user does; returns when it is there."""
    tar = cluster.state / "images" / "takt.tar"
    build = [ROOT / "tools" / "build-image", "--build", build_folder(), tar]
    print(f"# {subprocess.run(build, check=True, capture_output=True, text=True).stdout.strip()}")
    cluster.load_image(tar)
    words = ["--namespace", NAMESPACE, "--create-namespace", "--wait", "--timeout", "300s"]
    helm("install", RELEASE, CHART, *words, *options, env=cluster.environment)


def uninstall(cluster):
    words = ["--namespace", NAMESPACE, "--wait", "--timeout", "180s"]
    helm("uninstall", RELEASE, *words, env=cluster.environment)
