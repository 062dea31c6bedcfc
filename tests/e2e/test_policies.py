# SPDX-License-Identifier: Apache-2.0
"""The chart's admission policies in a real API server: what they refuse, what they fill in, and that
they say of every reservation what the parser in C says of it."""

import json
import re
import subprocess

import apiserver
from agent import program
from apiserver import ApiServer
from chart import NAMESPACE, policies
from cluster import Kubectl
from documents import GOOD, NO_CLAIM, REFUSED, TAKEN, bandwidth, random_specs, sound
from harness import Case, test

DRIVER = "rt.takt.dev"
SEED = 20261125


def request(name="rt", device_class=DRIVER, bandwidth=None, **fields):
    exactly = {"deviceClassName": device_class, **fields}
    if bandwidth is not None:
        exactly["capacity"] = {"requests": {"bandwidth": bandwidth}}
    return {"name": name, "exactly": exactly}


def config(parameters, requests=None, driver=DRIVER):
    made = {"opaque": {"driver": driver, "parameters": parameters}}
    return {**made, "requests": requests} if requests else made


def claim(name, requests, configs):
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaim",
        "metadata": {"name": name},
        "spec": {"devices": {"requests": requests, "config": configs}},
    }


def template(name, requests, configs):
    inner = {"spec": claim(name, requests, configs)["spec"]}
    return {**claim(name, [], []), "kind": "ResourceClaimTemplate", "spec": inner}


def device_class(name, parameters=None, driver=DRIVER):
    spec = {"selectors": [{"cel": {"expression": f"device.driver == '{driver}'"}}]}
    if parameters is not None:
        spec["config"] = [config(parameters, driver=driver)]
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "DeviceClass",
        "metadata": {"name": name},
        "spec": spec,
    }


def simple(name, spec, **fields):
    return claim(name, [request(**fields)], [config(spec)])


def bandwidths(made):
    """Request -> bandwidth as a number, alternatives as request/alternative."""
    found = {}
    for one in made["spec"]["devices"]["requests"]:
        parts = {one["name"]: one.get("exactly")}
        if "firstAvailable" in one:
            parts = {f"{one['name']}/{sub['name']}": sub for sub in one["firstAvailable"]}
        for name, part in parts.items():
            text = part.get("capacity", {}).get("requests", {}).get("bandwidth")
            scale = {"k": 10**3, "M": 10**6}.get((text or "0")[-1], 1)
            found[name] = None if text is None else int(text.rstrip("kM")) * scale
    return found


def parser_takes(spec):
    """Whether the parser in C reads it; whether it fits anywhere is another question."""
    head = {"apiVersion": "rt.takt.dev/v1alpha1", "kind": "Reservation", "metadata": {"name": "a"}}
    text = json.dumps({**head, "spec": spec}, ensure_ascii=False)
    done = subprocess.run(
        [program("takt"), "admit", "-f", "-"], input=text, capture_output=True, text=True
    )
    assert done.returncode in (0, 64, 75), done.stderr
    return done.returncode != 64


class Policies(Case):
    needs = (apiserver.built,)
    api = None

    def setUp(self):
        super().setUp()
        cls = type(self)
        if cls.api is None:
            cls.api = ApiServer()
            cls.addClassCleanup(cls.api.end)
            cls.api.kubectl("create", "namespace", NAMESPACE)
            cls.api.apply(policies())
            bad = {"runtime": "1ms", "period": "20ms", "nonsense": 1}
            cls.api.settled("parameters.rt.takt.dev", simple("a", bad))
            cls.api.settled("claims.rt.takt.dev", simple("a", {"runtime": "1ms"}))
            late = {"runtime": "21ms", "period": "20ms"}
            cls.api.settled("does not fit", simple("a", late, device_class="soft.rt.takt.dev"))

    def made(self, *objects):
        """Objects by name as the server would store them, refusals by name."""
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        # kubectl itself would refuse null.
        words = ["create", "--dry-run=server", "--validate=false", "-o", "json", "-f", "-"]
        done = subprocess.run(
            [apiserver.source("kubernetes").folder() / "kubectl", *words],
            env=self.api.environment,
            input=json.dumps(listed),
            capture_output=True,
            text=True,
        )
        decoder, at, taken = json.JSONDecoder(), 0, {}
        while at < len(done.stdout.rstrip()):
            one, at = decoder.raw_decode(done.stdout, at)
            for item in one["items"] if one["kind"] == "List" else [one]:
                taken[item["metadata"]["name"]] = item
            at += len(done.stdout[at:]) - len(done.stdout[at:].lstrip())
        refused = {}
        for line in done.stderr.splitlines():
            name = re.search(r'"([a-z0-9.-]+)" is (invalid|forbidden)', line)
            self.assertTrue(name, line)
            refused[name[1]] = line
        return taken, refused

    def taken(self, one):
        taken, refused = self.made(one)
        self.assertEqual(refused, {})
        return taken[one["metadata"]["name"]]

    def refused_with(self, words, one):
        _, refused = self.made(one)
        self.assertIn(words, refused.get(one["metadata"]["name"], "nothing"))

    @test
    def claims_and_parser_take_the_same_reservations(self):
        rows = dict(enumerate(TAKEN.values()))
        taken, refused = self.made(*(simple(f"c{i}", spec) for i, spec in rows.items()))
        self.assertEqual(refused, {})
        for i, (what, spec) in enumerate(TAKEN.items()):
            with self.subTest(what):
                self.assertTrue(parser_takes(spec))
                self.assertEqual(bandwidths(taken[f"c{i}"]), {"rt": bandwidth(spec)})

    @test
    def claims_and_parser_refuse_the_same_reservations_and_the_sentence_names_the_field(self):
        rows = list(enumerate(REFUSED.items()))
        _, refused = self.made(*(simple(f"c{i}", spec) for i, (_, (spec, _)) in rows))
        for i, (what, (spec, field)) in rows:
            with self.subTest(what):
                self.assertFalse(parser_takes(spec))
                self.assertIn(field, refused.get(f"c{i}", "nothing").partition("denied request")[2])

    @test
    def placements_without_devices_are_refused_wherever_a_cluster_reads_them(self):
        for what, spec in NO_CLAIM.items():
            with self.subTest(what):
                self.assertTrue(parser_takes(spec))
                for one in (
                    simple("a", spec),
                    template("a", [request()], [config(spec)]),
                    device_class("a", spec),
                ):
                    sentence = "has no devices in a cluster; write auto, shared or pinned"
                    self.refused_with(sentence, one)

    @test
    def templates_are_refused_as_claims_are_and_need_no_bandwidth(self):
        every = [*TAKEN.values(), *(spec for spec, _ in REFUSED.values())]
        objects = (template(f"t{i}", [request()], [config(s)]) for i, s in enumerate(every))
        taken, refused = self.made(*objects)
        self.assertEqual(set(taken), {f"t{i}" for i in range(len(TAKEN))})
        self.assertEqual(set(refused), {f"t{i}" for i in range(len(TAKEN), len(every))})

    @test
    def random_reservations_are_judged_and_counted_as_the_parser_does(self):
        print(f"# seed {SEED}", flush=True)
        specs = dict(enumerate(random_specs(SEED, 150)))
        taken, refused = self.made(*(simple(f"c{i}", spec) for i, spec in specs.items()))
        self.assertGreater(len(taken), 20)
        self.assertGreater(len(refused), 20)
        for i, spec in specs.items():
            with self.subTest(spec):
                self.assertEqual(parser_takes(spec), sound(spec))
                self.assertEqual(f"c{i}" in taken, sound(spec), refused.get(f"c{i}"))
                if f"c{i}" in taken:
                    self.assertEqual(bandwidths(taken[f"c{i}"]), {"rt": bandwidth(spec)})

    @test
    def bandwidth_that_the_user_wrote_stays_if_it_is_enough(self):
        for text, stored in (
            ("200000", "200k"),
            ("250001", "250001"),
            ("199999500m", "199999500m"),
            ("0.2M", "200k"),
        ):
            with self.subTest(text):
                made = self.taken(simple("a", GOOD, bandwidth=text))
                exactly = made["spec"]["devices"]["requests"][0]["exactly"]
                self.assertEqual(exactly["capacity"], {"requests": {"bandwidth": stored}})
        for text in ("199999", "0", "0.1M", "199999m"):
            with self.subTest(text):
                self.refused_with('write "200000"', simple("a", GOOD, bandwidth=text))
        rest = template("a", [request(bandwidth="199999")], [config(GOOD)])
        self.refused_with("less than the parameters need", rest)

    @test
    def each_request_is_counted_by_its_own_parameters(self):
        made = self.taken(
            claim(
                "a",
                [request("one"), request("two"), request("three", bandwidth="900000")],
                [
                    config({"runtime": "1ms", "period": "10ms"}),
                    config({"runtime": "3ms"}, ["two"]),
                    config({"cores": 2}, ["two", "three"]),
                ],
            )
        )
        self.assertEqual(bandwidths(made), {"one": 100000, "two": 600000, "three": 900000})

    @test
    def of_several_devices_each_gives_one_core_its_part(self):
        spec = {"runtime": "2ms", "period": "10ms", "cores": 2}
        one = claim("a", [request(count=2)], [config(spec)])
        self.assertEqual(bandwidths(self.taken(one)), {"rt": 200000})
        self.assertEqual(bandwidths(self.taken(simple("a", spec))), {"rt": 400000})

    @test
    def a_refusal_names_the_request(self):
        requests = [request("one"), request("two")]
        configs = [config(GOOD, ["one"]), config({"runtime": "4ms"}, ["two"])]
        self.refused_with("request two: period is missing", claim("a", requests, configs))

    @test
    def alternatives_are_counted_each_by_itself(self):
        subs = [
            {"name": "big", "deviceClassName": DRIVER},
            {"name": "small", "deviceClassName": "soft.rt.takt.dev"},
        ]
        configs = [
            config({"period": "10ms", "runtime": "1ms"}, ["cpu"]),
            config({"runtime": "5ms"}, ["cpu/big"]),
        ]
        made = self.taken(claim("a", [{"name": "cpu", "firstAvailable": subs}], configs))
        self.assertEqual(bandwidths(made), {"cpu/big": 500000, "cpu/small": 100000})
        configs[1] = config({"runtime": "50ms"}, ["cpu/big"])
        one = claim("a", [{"name": "cpu", "firstAvailable": subs}], configs)
        self.refused_with("request cpu/big: runtime: 50ms does not fit", one)

    @test
    def parameters_may_come_as_a_whole_document(self):
        document = {"apiVersion": "rt.takt.dev/v1alpha1", "kind": "Reservation", "spec": GOOD}
        self.assertEqual(bandwidths(self.taken(simple("a", document))), {"rt": 200000})
        self.assertEqual(bandwidths(self.taken(simple("a", {"spec": GOOD}))), {"rt": 200000})
        for wrong, field in (
            ({"spec": GOOD, "cores": 2}, "cores"),
            ({**document, "kind": "Pod"}, "kind"),
            ({**document, "apiVersion": "v1"}, "apiVersion"),
            ({"spec": with_nonsense()}, "spec.nonsense"),
        ):
            with self.subTest(wrong):
                self.refused_with(field, simple("a", wrong))
        # Of two policies that refuse, the API server tells one.
        _, refused = self.made(simple("a", {"spec": "4ms"}))
        self.assertRegex(refused["a"], "spec: this is not a map|runtime is missing")

    @test
    def what_a_class_says_holds_until_the_claim_says_otherwise(self):
        name = "camera.example.com"
        self.api.apply(device_class(name, {"runtime": "5ms", "period": "20ms", "cores": 2}))
        self.addCleanup(self.api.kubectl, "delete", "deviceclass", name)
        # No word of the driver in the claim, so that only the class can tell.
        self.api.settled("cores", claim("x", [request(device_class=name)], [config({"cores": 0})]))
        whole = claim("a", [request(device_class=name)], [])
        self.assertEqual(bandwidths(self.taken(whole)), {"rt": 500000})
        some = claim("a", [request(device_class=name)], [config({"runtime": "1ms"})])
        self.assertEqual(bandwidths(self.taken(some)), {"rt": 100000})
        late = claim("a", [request(device_class=name)], [config({"period": "4ms"})])
        self.refused_with("5ms does not fit before the deadline of 4ms", late)

    @test
    def classes_with_wrong_parameters_are_refused_too(self):
        self.refused_with("spec.config[0]", device_class("a", {"runtime": "4"}))
        self.refused_with("nonsense", device_class("a", {"nonsense": "4"}))
        self.assertTrue(self.taken(device_class("a", {"guarantee": "soft"})))

    @test
    def claims_of_other_drivers_are_left_alone(self):
        self.api.apply(device_class("gpu.example.com", {"mode": 1}, "gpu.example.com"))
        self.addCleanup(self.api.kubectl, "delete", "deviceclass", "gpu.example.com")
        gpu = request("gpu", "gpu.example.com")
        other = config({"runtime": "abc"}, driver="gpu.example.com")
        made = self.taken(claim("a", [gpu, request()], [other, config(GOOD)]))
        self.assertEqual(bandwidths(made), {"gpu": None, "rt": 200000})
        self.assertEqual(bandwidths(self.taken(claim("b", [gpu], [other]))), {"gpu": None})

    @test
    def a_claim_that_no_class_of_takt_concerns_is_refused_with_the_reason(self):
        one = simple("a", GOOD, device_class="not.there")
        self.refused_with("none names a DeviceClass of rt.takt.dev", one)

    @test
    def a_file_can_be_applied_again(self):
        one = simple("again", GOOD)
        first = self.api.apply(one)
        self.addCleanup(self.api.kubectl, "delete", "resourceclaim", "again")
        second = self.api.apply(one)
        self.assertEqual(second["spec"], first["spec"])
        self.assertEqual(second["metadata"]["uid"], first["metadata"]["uid"])
        server_side = ["apply", "--server-side", "--force-conflicts", "-f", "-"]
        self.api.kubectl(*server_side, text=json.dumps(one))

    @test
    def takt_dra_may_write_the_slices_of_its_own_node_and_driver_only(self):
        def slice_of(name, node, driver=DRIVER):
            pool = {"name": node, "generation": 1, "resourceSliceCount": 1}
            spec = {"driver": driver, "nodeName": node, "pool": pool, "devices": []}
            return {
                "apiVersion": "resource.k8s.io/v1",
                "kind": "ResourceSlice",
                "metadata": {"name": name},
                "spec": spec,
            }

        account = f"system:serviceaccount:{NAMESPACE}:takt-dra"
        node = "--as-user-extra=authentication.kubernetes.io/node-name=node1"

        def write(one, *who, verb="create"):
            self.api.kubectl(verb, f"--as={account}", *who, "-f", "-", text=json.dumps(one))

        def denied(words, *call, **how):
            with self.assertRaises(Kubectl) as caught:
                write(*call, **how)
            self.assertIn(words, str(caught.exception))

        denied("bound to no node", slice_of("a", "node1"))
        denied("slices of that node only", slice_of("a", "node2"), node)
        denied("driver rt.takt.dev only", slice_of("a", "node1", "gpu.example.com"), node)
        write(slice_of("a", "node1"), node)
        self.api.apply(slice_of("b", "node2"))
        denied("slices of that node only", slice_of("b", "node2"), node, verb="delete")
        write(slice_of("a", "node1"), node, verb="delete")
        self.api.kubectl("delete", "resourceslice", "b")

    @test
    def takt_dra_may_do_what_it_needs_and_nothing_else(self):
        def may(*words):
            who = f"--as=system:serviceaccount:{NAMESPACE}:takt-dra"
            answer = ["auth", "can-i", *words, who, "--quiet", "--all-namespaces"]
            return self.api.answered(*answer)

        for words in (
            ("get", "resourceclaims.resource.k8s.io"),
            ("patch", "resourceclaims.resource.k8s.io", "--subresource=status"),
            ("watch", "resourceslices.resource.k8s.io"),
            ("patch", "resourceslices.resource.k8s.io"),
            ("get", "nodes"),
            ("create", "events.events.k8s.io"),
        ):
            with self.subTest(words):
                self.assertTrue(may(*words))
        for words in (
            ("list", "resourceclaims.resource.k8s.io"),
            ("patch", "resourceclaims.resource.k8s.io"),
            ("delete", "resourceclaims.resource.k8s.io"),
            ("patch", "resourceclaims.resource.k8s.io", "--subresource=binding"),
            ("list", "nodes"),
            ("patch", "nodes"),
            ("get", "pods"),
            ("get", "secrets"),
            ("get", "configmaps"),
            ("create", "pods"),
        ):
            with self.subTest(words):
                self.assertFalse(may(*words))


def with_nonsense():
    return {**GOOD, "nonsense": 1}
