# SPDX-License-Identifier: Apache-2.0
"""The programs of a Kubernetes node: which module and version each comes from, and where its built
form lies. `build` makes them, cluster.py runs them."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

MODULES = Path(__file__).resolve().parent / "modules"


@dataclass(frozen=True)
class Source:
    """A Go module that is built. `commands` are its main packages, below the module's path."""

    name: str
    module: str
    version: str
    commands: tuple
    tags: str = ""
    cgo: bool = False
    # Variables that the linker sets, {version} filled in: without them Kubernetes says v0.0.0.
    variables: tuple = ()

    def at(self, version):
        """The same source at another version; its commands must still be where they were."""
        return replace(self, version=version)

    def __str__(self):
        return f"{self.name} {self.version}"

    def packages(self):
        return [f"{self.module}/{command}".rstrip("/") for command in self.commands]

    def program(self, package):
        """The file name of what a package is built into."""
        return self.name if package == self.module else package.rpartition("/")[2]

    def folder(self):
        """Where the built programs lie; complete where it exists."""
        return cache() / f"{self.name}-{self.version}"

    def pinned(self):
        """Whether modules/ holds the sums of all that this version is built from."""
        return self.version == SOURCES[self.name].version


SOURCES = {
    source.name: source
    for source in (
        Source("etcd", "go.etcd.io/etcd/server/v3", "3.6.16", ("",)),
        Source(
            "kubernetes",
            "k8s.io/kubernetes",
            "1.36.3",
            (
                "cmd/kube-apiserver",
                "cmd/kube-controller-manager",
                "cmd/kube-scheduler",
                "cmd/kubelet",
                "cmd/kubectl",
                "test/e2e/dra/test-driver",  # what bench_node.py measures beside ours
            ),
            variables=(
                "k8s.io/component-base/version.gitVersion=v{version}",
                "k8s.io/client-go/pkg/version.gitVersion=v{version}",
            ),
        ),
        Source(
            "containerd",
            "github.com/containerd/containerd/v2",
            "2.3.7",
            ("cmd/containerd", "cmd/containerd-shim-runc-v2", "cmd/ctr"),
            tags="no_btrfs no_devmapper no_zfs",
        ),
        Source("runc", "github.com/opencontainers/runc", "1.4.0", ("",), tags="seccomp", cgo=True),
        Source("helm", "helm.sh/helm/v4", "4.3.1", ("cmd/helm",)),
        Source("grpcurl", "github.com/fullstorydev/grpcurl", "1.9.4", ("cmd/grpcurl",)),
    )
}


def cache():
    """The folder of what was built, outside of the repository: $TAKT_CACHE."""
    return Path(os.environ.get("TAKT_CACHE") or "/var/cache/takt-e2e").absolute()


def source(name, version=None):
    """The source of that name, at the given version, that of $TAKT_NAME (TAKT_KUBERNETES and so
    on), or its default one."""
    version = version or os.environ.get(f"TAKT_{name.upper()}")
    return SOURCES[name].at(version) if version else SOURCES[name]
