# SPDX-License-Identifier: Apache-2.0
"""What the parts of a one-node Kubernetes are told: certificates, configuration files, command
lines. All is written below one state folder. Used by cluster.py."""

import json
import subprocess
from pathlib import Path

# Addresses of our own on the loopback interface: nothing clashes with what listens on 127.0.0.1,
# the node needs no network, and pods reach the API server at the first service address as they
# would through kube-proxy.
API_ADDRESS, NODE_ADDRESS = "10.96.0.1", "10.97.0.1"
POD_SUBNET, POD_GATEWAY = "10.98.0.0/24", "10.98.0.1"
SERVICE_RANGE = "10.96.0.0/16"
API_SERVER = f"https://{API_ADDRESS}:443"
ETCD = f"http://{NODE_ADDRESS}:2379"
# Where each part says that it works.
HEALTH = {
    "etcd": f"{ETCD}/health",
    "kube-apiserver": f"{API_SERVER}/readyz",
    "kube-scheduler": f"https://{NODE_ADDRESS}:10259/healthz",
    "kube-controller-manager": f"https://{NODE_ADDRESS}:10257/healthz",
    "kubelet": f"http://{NODE_ADDRESS}:10248/healthz",
}
NODE = "node1"
PAUSE = "localhost/pause:1"

# Who speaks to the API server by which certificate: file -> subject.
CLIENTS = {
    "admin": "/O=system:masters/CN=admin",
    "kube-scheduler": "/CN=system:kube-scheduler",
    "kube-controller-manager": "/CN=system:kube-controller-manager",
    "kubelet": f"/O=system:nodes/CN=system:node:{NODE}",
}
# All that a node keeps at fixed places of a machine. Its programs run in a mount namespace where
# these are folders of the state folder: the host never sees these mounts, and what it has there
# itself is not touched.
NODE_FOLDERS = (
    "/etc/cdi",
    "/etc/cni/net.d",
    "/opt/cni/bin",
    "/opt/containerd",
    "/run/cdi",
    "/run/containerd",
    "/run/netns",
    "/run/nri",
    "/run/takt",
    "/var/lib/cni",
    "/var/lib/containerd",
    "/var/lib/kubelet",
    "/var/lib/takt",
    "/var/log/containers",
    "/var/log/pods",
)
CNI_PROGRAMS = "/usr/lib/cni"  # Debian's containernetworking-plugins
VALID_DAYS = "7"


def node_path(state, path):
    """Where the host finds what the node's programs see at that path."""
    return Path(state) / "node" / path.strip("/")


def is_from(version, *least):
    """Whether a version, as "1.36.3", is that one or a later one, as 1, 36."""
    return tuple(int(n) for n in version.split(".")[: len(least)]) >= least


def feature_gates(kubernetes):
    """The gates that the version needs beyond its defaults: none from 1.36 on."""
    return {} if is_from(kubernetes, 1, 36) else {"DRAConsumableCapacity": True}


# Certificates


def _openssl(*words):
    subprocess.run(["openssl", *words], check=True, capture_output=True, text=True)


def _certificate(pki, name, subject, *more):
    _openssl(
        *("req", "-x509", "-config", pki / "openssl.cnf", "-days", VALID_DAYS, "-nodes"),
        *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-subj", subject),
        *("-keyout", pki / f"{name}.key", "-out", pki / f"{name}.crt", *more),
    )


def write_certificates(pki):
    """One authority, a certificate for every part, the key pair of service account tokens."""
    (pki / "openssl.cnf").write_text(
        "[req]\ndistinguished_name = name\n[name]\n"
        "[ca]\nbasicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign\n"
        "[leaf]\nbasicConstraints = critical, CA:FALSE\n"
        "[server]\nbasicConstraints = critical, CA:FALSE\nsubjectAltName = DNS:localhost,"
        f" DNS:kubernetes.default.svc, IP:127.0.0.1, IP:{API_ADDRESS}\n"
    )
    signed = ("-CA", pki / "ca.crt", "-CAkey", pki / "ca.key", "-extensions")
    _certificate(pki, "ca", "/CN=takt-e2e", "-extensions", "ca")
    _certificate(pki, "apiserver", "/CN=kube-apiserver", *signed, "server")
    for name, subject in CLIENTS.items():
        _certificate(pki, name, subject, *signed, "leaf")
    _openssl(
        *("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"),
        *("-out", pki / "tokens.key"),
    )
    _openssl("pkey", "-in", pki / "tokens.key", "-pubout", "-out", pki / "tokens.pub")


# Files


def _kubeconfig(pki, name):
    user = {
        "client-certificate": str(pki / f"{name}.crt"),
        "client-key": str(pki / f"{name}.key"),
    }
    server = {"server": API_SERVER, "certificate-authority": str(pki / "ca.crt")}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "e2e", "cluster": server}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": name}}],
        "current-context": "e2e",
    }


def _kubelet_config(pki, gates):
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_ADDRESS,
        "healthzBindAddress": NODE_ADDRESS,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": [],
        "localStorageCapacityIsolation": False,
        "makeIPTablesUtilChains": False,
        # Lower than its own would need CAP_SYS_RESOURCE.
        "oomScoreAdj": 0,
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%"},
        # Images come from no registry: one that was thrown away would be gone.
        "imageGCHighThresholdPercent": 100,
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        "featureGates": gates,
    }


_CONTAINERD = f"""version = 3
[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = "{PAUSE}"
[plugins.'io.containerd.cri.v1.runtime']
restrict_oom_score_adj = true
"""

_CNI = {
    "cniVersion": "1.0.0",
    "name": "takt-e2e",
    "plugins": [
        {
            "type": "ptp",
            "ipMasq": False,
            "ipam": {
                "type": "host-local",
                "ranges": [[{"subnet": POD_SUBNET, "gateway": POD_GATEWAY}]],
                "routes": [{"dst": "0.0.0.0/0"}],
                "dataDir": "/var/lib/cni/networks",
            },
        }
    ],
}


def write_files(state, kubernetes):
    """Everything that the parts read, for that version of Kubernetes."""
    pki, conf = state / "pki", state / "conf"
    write_certificates(pki)
    for name in CLIENTS:
        text = json.dumps(_kubeconfig(pki, name), indent=1)
        (conf / f"{name}.kubeconfig").write_text(text)
    kubelet = _kubelet_config(pki, feature_gates(kubernetes))
    (conf / "kubelet.json").write_text(json.dumps(kubelet, indent=1))
    (conf / "containerd.toml").write_text(_CONTAINERD)
    cni = node_path(state, "/etc/cni/net.d") / "10-takt-e2e.conflist"
    cni.write_text(json.dumps(_CNI, indent=1))
    # Shared, so that what a pod mounts with propagation is seen by the others.
    binds = "".join(
        f"mount --bind {node_path(state, folder)} {folder}\n" for folder in NODE_FOLDERS
    )
    # Each start is a boot of the node, with an id of its own.
    (conf / "mounts.sh").write_text(
        f"set -e\n{binds}mount --bind {CNI_PROGRAMS} /opt/cni/bin\n"
        f"cat /proc/sys/kernel/random/uuid >{state}/boot_id\n"
        f"mount --bind {state}/boot_id /proc/sys/kernel/random/boot_id\n"
        f"mount --make-rshared /\ntouch {state}/mounted\nexec sleep infinity\n"
    )


# Command lines


def _apiserver(pki):
    return [
        f"--etcd-servers={ETCD}",
        f"--bind-address={API_ADDRESS}",
        "--secure-port=443",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        f"--client-ca-file={pki}/ca.crt",
        f"--service-account-key-file={pki}/tokens.pub",
        f"--service-account-signing-key-file={pki}/tokens.key",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--kubelet-client-certificate={pki}/admin.crt",
        f"--kubelet-client-key={pki}/admin.key",
        "--kubelet-preferred-address-types=InternalIP",
        "--allow-privileged=true",
    ]


def command_lines(state, kubernetes):
    """Name -> words, in the order in which they start."""
    pki, conf = state / "pki", state / "conf"
    gates = ",".join(f"{name}={str(on).lower()}" for name, on in feature_gates(kubernetes).items())
    gates = [f"--feature-gates={gates}"] if gates else []

    def api(name):
        uses = ("", "authentication-", "authorization-")
        return [f"--{use}kubeconfig={conf}/{name}.kubeconfig" for use in uses]

    local = [f"--bind-address={NODE_ADDRESS}", "--leader-elect=false"]
    return {
        "namespace": ["unshare", "--mount", "--propagation=private", "sh", conf / "mounts.sh"],
        "etcd": [
            "etcd",
            f"--data-dir={state}/etcd",
            f"--listen-client-urls={ETCD}",
            f"--advertise-client-urls={ETCD}",
            f"--listen-peer-urls=http://{NODE_ADDRESS}:2380",
            f"--initial-advertise-peer-urls=http://{NODE_ADDRESS}:2380",
            f"--initial-cluster=default=http://{NODE_ADDRESS}:2380",
            "--unsafe-no-fsync",
        ],
        "containerd": ["containerd", "--config", conf / "containerd.toml"],
        "kube-apiserver": ["kube-apiserver", *_apiserver(pki), *gates],
        "kube-scheduler": ["kube-scheduler", *api("kube-scheduler"), *local, *gates],
        "kube-controller-manager": [
            "kube-controller-manager",
            *api("kube-controller-manager"),
            *local,
            f"--service-account-private-key-file={pki}/tokens.key",
            f"--root-ca-file={pki}/ca.crt",
            "--use-service-account-credentials",
            *gates,
        ],
        "kubelet": [
            "kubelet",
            f"--config={conf}/kubelet.json",
            f"--kubeconfig={conf}/kubelet.kubeconfig",
            f"--hostname-override={NODE}",
            f"--node-ip={NODE_ADDRESS}",
            "--vmodule=dra_plugin=4",  # it tells of every call of a DRA driver
        ],
    }
