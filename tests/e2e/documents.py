# SPDX-License-Identifier: Apache-2.0
"""One table of reservations, for everybody who reads them: the parser in C (`takt admit`) and the
admission policies in CEL must say the same of each, but of those that no claim can be."""

import random
from fractions import Fraction

UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}
PERIOD_MIN, PERIOD_MAX, RUNTIME_MIN = 10**5, (1 << 22) * 1000, 1024  # src/core/model/units.h

GOOD = {"runtime": "4ms", "period": "20ms"}


def with_(**fields):
    return {**GOOD, **fields}


# What is a reservation.
TAKEN = {
    "the smallest": GOOD,
    "a fraction": with_(runtime="2.5ms"),
    "a fraction with zeros behind it": with_(runtime="2.500000000000ms"),
    "zeros in front": with_(runtime="0004ms"),
    "half a second": with_(runtime="0.004s"),
    "whole nanoseconds with a point": with_(runtime="4000000.0ns"),
    "the kernel's floor": with_(runtime="1024ns"),
    "the floor as a fraction": with_(runtime="1.024us"),
    "the shortest period": {"runtime": "10us", "period": "100us"},
    "the longest period": {"runtime": "1s", "period": "4.194304s"},
    "all of the period": with_(runtime="20ms"),
    "a deadline": with_(deadline="10ms"),
    "a deadline that is the runtime": with_(deadline="4ms"),
    "a deadline that is the period": with_(deadline="20000us"),
    "two cores": with_(cores=2),
    "the most cores": with_(cores=256),
    "hard": with_(guarantee="hard"),
    "soft": with_(guarantee="soft"),
    "placement auto": with_(placement="auto"),
    "placement shared": with_(placement="shared"),
    "placement pinned": with_(placement="pinned"),
    "reclaim": with_(reclaim=True),
    "no reclaim": with_(reclaim=False),
    "the main thread": with_(threads={"main": True}),
    "all threads": with_(threads={"all": True}),
    "threads that ask": with_(threads={"attach": True}),
    "threads by name": with_(threads={"match": ["worker-*", "123456789012345"]}),
    "as many patterns as there may be": with_(threads={"match": list("abcdefgh")}),
    "an envelope": with_(adapt={"minRuntime": "1ms", "maxRuntime": "8ms"}),
    "an envelope of no width": with_(adapt={"minRuntime": "4ms", "maxRuntime": "4ms"}),
    "a miss rate": with_(adapt={"minRuntime": "1ms", "maxRuntime": "8ms", "missRate": "0.05%"}),
    "every miss": with_(adapt={"minRuntime": "1ms", "maxRuntime": "8ms", "missRate": "100.0%"}),
    "a miss rate with a zero": with_(
        adapt={"minRuntime": "1ms", "maxRuntime": "8ms", "missRate": "001%"}
    ),
}

# What is none, and a word of the sentence that must say so.
REFUSED = {
    "no runtime": ({"period": "20ms"}, "runtime"),
    "no period": ({"runtime": "4ms"}, "period"),
    "nothing": ({}, "runtime"),
    "garbage": (with_(runtime="abc"), "runtime"),
    "no unit": (with_(runtime="4"), "runtime"),
    "a number": (with_(runtime=4), "runtime"),
    "a fraction without a unit": (with_(runtime=4.5), "runtime"),
    "a boolean": (with_(runtime=True), "runtime"),
    "null": (with_(runtime=None), "runtime"),
    "a map": (with_(runtime={"ms": 4}), "runtime"),
    "a list": (with_(runtime=["4ms"]), "runtime"),
    "an empty text": (with_(runtime=""), "runtime"),
    "a unit alone": (with_(runtime="ms"), "runtime"),
    "a space": (with_(runtime="4 ms"), "runtime"),
    "a space behind": (with_(runtime="4ms "), "runtime"),
    "a newline behind": (with_(runtime="4ms\n"), "runtime"),
    "a sign": (with_(runtime="-4ms"), "runtime"),
    "a plus": (with_(runtime="+4ms"), "runtime"),
    "an exponent": (with_(runtime="4e0ms"), "runtime"),
    "two units": (with_(runtime="1ms500us"), "runtime"),
    "minutes": (with_(period="1m"), "period"),
    "a capital": (with_(period="20MS"), "period"),
    "a micro sign": (with_(period="500µs"), "period"),
    "a comma": (with_(runtime="4,5ms"), "runtime"),
    "two points": (with_(runtime="4.5.6ms"), "runtime"),
    "nothing behind the point": (with_(runtime="4.ms"), "runtime"),
    "nothing before the point": (with_(runtime=".5ms"), "runtime"),
    "finer than a nanosecond": (with_(runtime="4.0000001ms"), "runtime"),
    "half a nanosecond": (with_(runtime="4000000.5ns"), "runtime"),
    "more than 64 bits": (with_(runtime="99999999999999999999s"), "runtime"),
    "auto": (with_(period="auto"), "period"),
    "a period of zero": (with_(period="0ms"), "period"),
    "a runtime of zero": (with_(runtime="0ms"), "runtime"),
    "under the kernel's floor": (with_(runtime="1023ns"), "runtime"),
    "a period under the kernel's": ({"runtime": "10us", "period": "99.999us"}, "period"),
    "a period over the kernel's": (with_(period="4.194304001s"), "period"),
    "a runtime after the period": (with_(runtime="20.000001ms"), "runtime"),
    "a runtime after the deadline": (with_(deadline="3.999999ms"), "runtime"),
    "a deadline after the period": (with_(deadline="20.000001ms"), "deadline"),
    "a deadline of garbage": (with_(deadline="soon"), "deadline"),
    "a deadline of zero": (with_(deadline="0ms"), "runtime"),
    "no cores": (with_(cores=0), "cores"),
    "less than no cores": (with_(cores=-1), "cores"),
    "too many cores": (with_(cores=257), "cores"),
    "half a core": (with_(cores=1.5), "cores"),
    "cores as text": (with_(cores="2"), "cores"),
    "another guarantee": (with_(guarantee="firm"), "guarantee"),
    "a guarantee in capitals": (with_(guarantee="Hard"), "guarantee"),
    "a guarantee of null": (with_(guarantee=None), "guarantee"),
    "another placement": (with_(placement="global"), "placement"),
    "a placement that is a number": (with_(placement=1), "placement"),
    "reclaim as text": (with_(reclaim="true"), "reclaim"),
    "reclaim as a number": (with_(reclaim=1), "reclaim"),
    "no rule for threads": (with_(threads={}), "threads"),
    "two rules for threads": (with_(threads={"main": True, "all": True}), "threads"),
    "threads as text": (with_(threads="main"), "threads"),
    "threads of null": (with_(threads=None), "threads"),
    "another rule for threads": (with_(threads={"none": True}), "threads"),
    "a rule that is off": (with_(threads={"main": False}), "threads"),
    "a rule as text": (with_(threads={"all": "true"}), "threads"),
    "no patterns": (with_(threads={"match": []}), "threads"),
    "too many patterns": (with_(threads={"match": list("abcdefghi")}), "threads"),
    "a pattern that is empty": (with_(threads={"match": [""]}), "threads"),
    "a pattern that is too long": (with_(threads={"match": ["1234567890123456"]}), "threads"),
    "a pattern of too many bytes": (with_(threads={"match": ["äöüäöüäö"]}), "threads"),
    "a pattern that is a number": (with_(threads={"match": [1]}), "threads"),
    "one pattern without a list": (with_(threads={"match": "a"}), "threads"),
    "an empty envelope": (with_(adapt={}), "minRuntime"),
    "half an envelope": (with_(adapt={"minRuntime": "1ms"}), "maxRuntime"),
    "an envelope that is none": (with_(adapt="yes"), "adapt"),
    "an envelope above the runtime": (
        with_(adapt={"minRuntime": "5ms", "maxRuntime": "8ms"}),
        "minRuntime",
    ),
    "an envelope below the runtime": (
        with_(adapt={"minRuntime": "1ms", "maxRuntime": "3ms"}),
        "maxRuntime",
    ),
    "an envelope after the deadline": (
        with_(adapt={"minRuntime": "1ms", "maxRuntime": "21ms"}),
        "maxRuntime",
    ),
    "an envelope under the floor": (
        with_(adapt={"minRuntime": "1us", "maxRuntime": "8ms"}),
        "minRuntime",
    ),
    "an envelope of garbage": (with_(adapt={"minRuntime": "1", "maxRuntime": "8ms"}), "minRuntime"),
    "a field too many in the envelope": (
        with_(adapt={"minRuntime": "1ms", "maxRuntime": "8ms", "stepRuntime": "1ms"}),
        "stepRuntime",
    ),
    "a miss rate without a sign": (
        with_(adapt={"minRuntime": "1ms", "maxRuntime": "8ms", "missRate": "1"}),
        "missRate",
    ),
    "a miss rate that is a number": (
        with_(adapt={"minRuntime": "1ms", "maxRuntime": "8ms", "missRate": 1}),
        "missRate",
    ),
    "a miss rate over all": (
        with_(adapt={"minRuntime": "1ms", "maxRuntime": "8ms", "missRate": "100.0001%"}),
        "missRate",
    ),
    "a miss rate that is too fine": (
        with_(adapt={"minRuntime": "1ms", "maxRuntime": "8ms", "missRate": "0.00001%"}),
        "missRate",
    ),
    "a field that there is not": (with_(budget="4ms"), "budget"),
    "a field in capitals": (with_(Runtime="4ms"), "Runtime"),
    "a Kubernetes word": (with_(priority=3), "priority"),
}

# What is a reservation and no claim: the placements that have no devices, see takt-dra(8).
NO_CLAIM = {
    "placement exclusive": with_(placement="exclusive"),
    "placement group": with_(placement="group"),
}


def nanoseconds(text):
    """The duration as a fraction; None where it is none of whole nanoseconds."""
    for unit in ("ns", "us", "ms", "s"):
        if text.endswith(unit):
            exact = Fraction(text.removesuffix(unit)) * UNITS[unit]
            return int(exact) if exact.denominator == 1 else None
    return None


def bandwidth(spec):
    """What a sound reservation needs, in millionths of a CPU."""
    runtime, period = nanoseconds(spec["runtime"]), nanoseconds(spec["period"])
    return spec.get("cores", 1) * -(-runtime * 10**6 // period)


def sound(spec):
    """Whether a reservation of well-formed durations is one, by the rules of resv_request_check()."""
    runtime, period = nanoseconds(spec["runtime"]), nanoseconds(spec["period"])
    deadline = nanoseconds(spec["deadline"]) if "deadline" in spec else period
    if None in (runtime, period, deadline):
        return False
    return RUNTIME_MIN <= runtime <= deadline <= period and PERIOD_MIN <= period <= PERIOD_MAX


def _duration(rng, ns):
    """Some way to write about that many nanoseconds."""
    unit = rng.choice(list(UNITS))
    decimals = rng.choice((0, 1, 3, 6, 9, 12))
    text = f"{ns / UNITS[unit]:.{decimals}f}"
    return "0" * rng.choice((0, 0, 0, 2)) + text + unit


def random_specs(seed, count):
    """Reservations around all limits, sound and not."""
    rng = random.Random(seed)
    for _ in range(count):
        period = int(10 ** rng.uniform(4.8, 9.7))
        runtime = int(period * rng.choice((rng.random(), 1, 1.001, 1e-6)))
        spec = {"runtime": _duration(rng, runtime), "period": _duration(rng, period)}
        if rng.random() < 0.3:
            spec["deadline"] = _duration(rng, rng.randint(runtime, max(runtime, period)))
        if rng.random() < 0.5:
            spec["cores"] = rng.randint(1, 256)
        yield spec
