#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whom the API server's client trusts, and who it says it is: identity.py PROGRAM."""

import errno
import json
import os
import subprocess
import time
from pathlib import Path

import tap
from kube_test import SECONDS, SLICES, Case, Client, Server
from kube_test import always, data, openssl, status, thing


class Trust(Case):
    def refused(self, server, cluster):
        client = Client(self, "kubeconfig", self.config(server.port, cluster))
        answer = client.do("get", **SLICES, name="a")
        self.assertEqual(answer["code"], -errno.EKEYREJECTED, answer)
        self.assertEqual(server.requests, [])

    def accepted(self, server, cluster=None, **user):
        client = Client(self, "kubeconfig", self.config(server.port, cluster, **user))
        answer = client.do("get", **SLICES, name="a")
        self.assertEqual(answer["code"], 0, answer)

    def test_another_authority_is_refused(self):
        server = Server(self, self.ca, always(200, thing("a")))
        self.refused(server, {"certificate-authority": self.other.file("other", "crt")})
        self.refused(server, {"certificate-authority-data": data(self.other.text("other"))})
        self.refused(server, {})
        self.accepted(server, {"certificate-authority-data": data(self.ca.text("ca"))})

    def test_the_systems_certificates_are_not_trusted_beside_the_given_ones(self):
        # libcurl reads the system's folder besides the given file, unless told not to.
        server = Server(self, self.ca, always(200, thing("a")))
        folder = self.path("system")
        folder.mkdir()
        (folder / "ca.pem").write_text(self.ca.text("ca"))
        (folder / "ca-certificates.crt").write_text(self.ca.text("ca"))
        openssl("rehash", str(folder))
        mount = f'mount --bind {folder} /etc/ssl/certs && exec "$@"'
        before = ("unshare", "-m", "sh", "-c", mount, "sh")
        if subprocess.run([*before, "true"], capture_output=True).returncode:
            self.skipTest("no mount namespace can be made here (unshare -m)")
        wrong = {"certificate-authority": self.other.file("other", "crt")}
        for cluster, code in (({}, 0), (wrong, -errno.EKEYREJECTED)):
            client = Client(self, "kubeconfig", self.config(server.port, cluster), before=before)
            self.assertEqual(client.do("get", **SLICES, name="a")["code"], code)

    def test_a_certificate_for_another_name_is_refused_unless_that_is_named(self):
        server = Server(self, self.ca, always(200, thing("a")), certificate="named")
        ca = {"certificate-authority": self.ca.file("ca", "crt")}
        self.refused(server, ca)
        self.accepted(server, {**ca, "tls-server-name": "kubernetes.default.svc"})
        self.assertEqual(server.requests[0].headers["host"], f"127.0.0.1:{server.port}")
        self.refused(Server(self, self.ca, None), {**ca, "tls-server-name": "other.svc"})

    def test_a_server_may_have_a_name(self):
        server = Server(self, self.ca, always(200, thing("a")))
        self.accepted(server, {"certificate-authority": self.ca.file("ca", "crt"),
                               "server": f"https://localhost:{server.port}"})

    def test_only_a_kubeconfig_that_says_so_trusts_everybody(self):
        server = Server(self, self.ca, always(200, thing("a")), certificate="named")
        self.accepted(server, {"insecure-skip-tls-verify": True})

    def test_an_authority_file_that_is_not_there_is_said(self):
        server = Server(self, self.ca, always(200, thing("a")))
        self.refused(server, {"certificate-authority": "/nonexistent/ca.pem"})

    def test_client_certificates_come_from_files_and_from_data(self):
        server = Server(self, self.ca, always(200, thing("a")), clients=True)
        self.accepted(server, **{"client-certificate": self.ca.file("user", "crt"),
                                 "client-key": self.ca.file("user", "key")})
        self.accepted(server, **{"client-certificate-data": data(self.ca.text("user")),
                                 "client-key-data": data(self.ca.text("user", "key"))})
        client = Client(self, "kubeconfig", self.config(server.port))
        self.assertLess(client.do("get", **SLICES, name="a")["code"], 0)

    def test_no_proxy_is_used_for_loopback(self):
        proxy = {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
        _, client = self.serve(always(200, thing("a")), env=proxy)
        self.assertEqual(client.do("get", **SLICES, name="a")["code"], 0)


class TokenCase(Case):
    def token_server(self, good):
        """Takes the tokens of the set only."""

        def behave(peer, request):
            if request.token in good:
                peer.reply(200, thing("a"))
            else:
                peer.reply(401, status(401, "Unauthorized", "who are you"))

        return behave


class Tokens(TokenCase):
    def write(self, path, token):
        """As Kubernetes does it: a link that is moved."""
        real = path.with_suffix("." + token)
        real.write_text(token + "\n")
        link = path.with_suffix(".tmp")
        link.symlink_to(real)
        os.replace(link, path)

    def test_a_refused_token_is_read_again_at_once(self):
        good = {"old"}
        path = self.path("token")
        self.write(path, "old")
        server, client = self.serve(self.token_server(good), tokenFile=str(path))
        self.assertEqual(client.do("get", **SLICES, name="a")["code"], 0)
        good.clear()
        good.add("new")
        self.write(path, "new")
        self.assertEqual(client.do("get", **SLICES, name="a")["code"], 0)
        self.assertEqual([r.token for r in server.requests], ["old", "old", "new"])

    def test_a_token_that_stays_the_same_is_not_tried_twice(self):
        path = self.path("token")
        self.write(path, "old")
        server, client = self.serve(self.token_server(set()), tokenFile=str(path))
        answer = client.do("get", **SLICES, name="a")
        self.assertEqual(answer["code"], -errno.EACCES)
        self.assertIn("who are you", answer["error"])
        self.assertEqual(len(server.requests), 1)

    def test_a_token_file_is_not_read_for_each_request(self):
        path = self.path("token")
        self.write(path, "old")
        server, client = self.serve(self.token_server({"old", "new"}), tokenFile=str(path))
        client.do("get", **SLICES, name="a")
        self.write(path, "new")
        client.do("get", **SLICES, name="a")
        self.assertEqual([r.token for r in server.requests], ["old", "old"])

    def test_a_token_file_that_goes_away_does_not_end_the_token(self):
        path = self.path("token")
        self.write(path, "old")
        server, client = self.serve(self.token_server({"old"}), tokenFile=str(path))
        client.do("get", **SLICES, name="a")
        path.unlink()
        self.assertEqual(client.do("get", **SLICES, name="a")["code"], 0)

    def test_without_a_token_nothing_is_sent(self):
        path = self.path("token")
        server, client = self.serve(self.token_server({"old"}), tokenFile=str(path))
        answer = client.do("get", **SLICES, name="a")
        self.assertEqual(answer["code"], -errno.ENOENT)
        self.assertIn(str(path), answer["error"])
        path.write_text("a b\r\nX-Evil: 1\n")
        self.assertEqual(client.do("get", **SLICES, name="a")["code"], -errno.EINVAL)
        self.assertEqual(server.requests, [])

    def test_a_pod_uses_its_service_account(self):
        server = Server(self, self.ca, self.token_server({"podtoken"}))
        folder = self.path("sa")
        folder.mkdir()
        (folder / "ca.crt").write_text(self.ca.text("ca"))
        (folder / "token").write_text("podtoken")
        (folder / "namespace").write_text("takt-system\n")
        env = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(server.port)}
        client = Client(self, "pod", folder, env=env)
        self.assertEqual(client.do("get", **SLICES, name="a")["code"], 0)


class Plugins(TokenCase):
    def plugin(self, script):
        path = self.path("plugin")
        path.write_text("#!/bin/sh\n" + script)
        path.chmod(0o755)
        return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(path),
                         "args": ["x y"], "env": [{"name": "TAKT_T", "value": "v"}],
                         "interactiveMode": "Never"}}

    def printed(self, **fields):
        text = json.dumps({"apiVersion": "client.authentication.k8s.io/v1",
                           "kind": "ExecCredential", "status": fields})
        return f"echo '{text}'\n"

    def counted(self):
        """Shell that counts the runs in a file, and the function that reads it."""
        path = self.path("count")
        return f"echo run >>{path}\n", lambda: len(path.read_text().split())

    def test_a_plugin_is_told_what_is_wanted_and_its_token_is_used(self):
        seen = self.path("seen")
        script = f'printf "%s|%s|%s" "$1" "$TAKT_T" "$KUBERNETES_EXEC_INFO" >{seen}\n'
        _, client = self.serve(self.token_server({"plug"}),
                               **self.plugin(script + self.printed(token="plug")))
        self.assertEqual(client.do("get", **SLICES, name="a")["code"], 0)
        word, variable, info = seen.read_text().split("|")
        self.assertEqual((word, variable), ("x y", "v"))
        self.assertEqual(json.loads(info)["spec"], {"interactive": False})

    def test_many_calls_wait_for_one_run(self):
        count, runs = self.counted()
        _, client = self.serve(self.token_server({"plug"}),
                               **self.plugin(count + "sleep 0.3\n" + self.printed(token="plug")))
        names = [client.order("get", **SLICES, name="a") for _ in range(6)]
        for name in names:
            self.assertEqual(client.expect(id=name)["code"], 0)
        self.assertEqual(client.do("get", **SLICES, name="a")["code"], 0)
        self.assertEqual(runs(), 1)

    def test_a_credential_that_ends_is_asked_for_again(self):
        count, runs = self.counted()
        soon = "$(date -u -d '+14 seconds' +%Y-%m-%dT%H:%M:%SZ)"
        text = self.printed(token="plug", expirationTimestamp="SOON").replace("SOON", f"'{soon}'")
        _, client = self.serve(self.token_server({"plug"}), **self.plugin(count + text))
        self.assertEqual(client.do("get", **SLICES, name="a")["code"], 0)
        self.assertEqual(runs(), 1)
        end = time.monotonic() + 20
        while runs() < 2 and time.monotonic() < end:
            time.sleep(0.5)
            self.assertEqual(client.do("get", **SLICES, name="a")["code"], 0)
        self.assertEqual(runs(), 2)

    def test_a_refused_credential_is_asked_for_once_more(self):
        count, runs = self.counted()
        server, client = self.serve(self.token_server(set()),
                                    **self.plugin(count + self.printed(token="plug")))
        self.assertEqual(client.do("get", **SLICES, name="a")["code"], -errno.EACCES)
        self.assertEqual((runs(), len(server.requests)), (2, 2))

    def test_a_client_certificate_from_a_plugin_is_used(self):
        server = Server(self, self.ca, always(200, thing("a")), clients=True)
        printed = self.path("credential")
        printed.write_text(json.dumps({
            "apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
            "status": {"clientCertificateData": self.ca.text("user"),
                       "clientKeyData": self.ca.text("user", "key")}}))
        _, client = self.serve(None, server=server, **self.plugin(f"cat {printed}\n"))
        self.assertEqual(client.do("get", **SLICES, name="a")["code"], 0)

    def test_a_plugin_that_fails_is_named(self):
        scripts = {
            "exit 3\n": "ended with status 3",
            "kill -9 $$\n": "ended by signal 9",
            "echo nonsense\n": "no ExecCredential",
            "yes\n": "printed more than",
            self.printed(token="a", expirationTimestamp="2001-01-01T00:00:00Z"): "has expired",
        }
        for script, sentence in scripts.items():
            server, client = self.serve(self.token_server({"plug"}), **self.plugin(script))
            answer = client.do("get", **SLICES, name="a")
            self.assertLess(answer["code"], 0)
            self.assertIn(sentence, answer["error"])
            self.assertIn(str(self.path("plugin")), answer["error"])
            self.assertEqual(server.requests, [])

    def test_a_plugin_that_is_not_there_is_named_with_the_hint(self):
        user = self.plugin("")
        user["exec"].update(command="takt-no-such-plugin", installHint="install it so")
        _, client = self.serve(None, **user)
        answer = client.do("get", **SLICES, name="a")
        self.assertEqual(answer["code"], -errno.ENOENT)
        self.assertIn("takt-no-such-plugin", answer["error"])
        self.assertIn("install it so", answer["error"])

    def test_quitting_ends_a_plugin_that_runs(self):
        started = self.path("started")
        _, client = self.serve(None, **self.plugin(f"echo $$ >{started}\nexec sleep 600\n"))
        client.order("get", **SLICES, name="a")
        while not (started.exists() and started.read_text().strip()):
            time.sleep(0.02)
        client.order("quit")
        self.assertEqual(client.process.wait(SECONDS), 0)
        self.assertFalse(Path(f"/proc/{started.read_text().strip()}").exists())


if __name__ == "__main__":
    tap.main()
