// SPDX-License-Identifier: Apache-2.0
/* Every mistake with the exact text that a person sees. */
#include "helper.h"

/* Line 3 is metadata: {name: ...}. */
#define NAMED(name)                          \
	"apiVersion: rt.takt.dev/v1alpha1\n" \
	"kind: Reservation\n"                \
	"metadata: {name: " name "}\n"       \
	"spec: {runtime: 4ms, period: 20ms}\n"

TEST(what_is_not_yaml_is_told_with_its_line)
{
	CHECK_TEXT(faults_of("a: b: c\n"),
		"f.yaml:1: this is not YAML: mapping values are not allowed in this context");
	CHECK_TEXT(faults_of("kind: Reservation\n"
			     "\"abc"),
		"f.yaml:2: this is not YAML: found unexpected end of stream while scanning a quoted scalar");
	CHECK_TEXT(faults_of("a:\n"
			     "\t- b\n"),
		"f.yaml:2: this is not YAML: found character that cannot start any token while scanning for the next token");
	CHECK_TEXT(faults_of("a: [b\n"),
		"f.yaml:2: this is not YAML: did not find expected ',' or ']' while parsing a flow sequence");
	CHECK_TEXT(faults_of("a: @b\n"),
		"f.yaml:1: this is not YAML: found character that cannot start any token while scanning for the next token");
}

TEST(what_is_not_plain_utf_8_is_told_with_its_line)
{
	CHECK_TEXT(faults_of("a: b\n"
			     "\377\376\n"),
		"f.yaml:2: this is not plain UTF-8 text: invalid leading UTF-8 octet");
	CHECK_TEXT(faults_of_bytes("\377\376a\000", 4),
		"f.yaml:1: this is not plain UTF-8 text: invalid leading UTF-8 octet");
	CHECK_TEXT(faults_of("a: b\n"
			     "c: \001\n"),
		"f.yaml:2: this is not plain UTF-8 text: control characters are not allowed");
	CHECK_TEXT(faults_of("a: \303\n"),
		"f.yaml:1: this is not plain UTF-8 text: invalid trailing UTF-8 octet");
	CHECK_TEXT(faults_of_bytes("a: b\000\n", 6),
		"f.yaml:1: this is not plain UTF-8 text: control characters are not allowed");
}

TEST(a_document_that_is_no_map_is_refused)
{
	CHECK_TEXT(faults_of("camera\n"),
		"f.yaml:1: a reservation is a map with apiVersion, kind, metadata and spec");
	CHECK_TEXT(faults_of("- a\n"),
		"f.yaml:1: a reservation is a map with apiVersion, kind, metadata and spec");
	CHECK_TEXT(faults_of("\"null\"\n"),
		"f.yaml:1: a reservation is a map with apiVersion, kind, metadata and spec");
}

TEST(every_missing_field_is_told_with_an_example)
{
	CHECK_TEXT(faults_of("{}\n"),
		"f.yaml:1: apiVersion: this field is missing; write for example apiVersion: rt.takt.dev/v1alpha1\n"
		"f.yaml:1: kind: this field is missing; write for example kind: Reservation\n"
		"f.yaml:1: metadata: this field is missing; write for example metadata: {name: camera}\n"
		"f.yaml:1: spec: this field is missing; write for example spec: {runtime: 4ms, period: 20ms}");
	CHECK_TEXT(faults_of(HEAD "  cores: 1\n"),
		"f.yaml:4: spec.runtime: this field is missing; write for example runtime: 4ms\n"
		"f.yaml:4: spec.period: this field is missing; write for example period: 20ms");
	CHECK_TEXT(faults_of(CAMERA "  adapt: {}\n"),
		"f.yaml:7: spec.adapt.minRuntime: this field is missing; write for example minRuntime: 1ms\n"
		"f.yaml:7: spec.adapt.maxRuntime: this field is missing; write for example maxRuntime: 8ms");
	CHECK_TEXT(faults_of("apiVersion: rt.takt.dev/v1alpha1\n"
			     "kind: Reservation\n"
			     "metadata: {}\n"
			     "spec: {}\n"),
		"f.yaml:3: metadata.name: this field is missing; write for example name: camera\n"
		"f.yaml:4: spec.runtime: this field is missing; write for example runtime: 4ms\n"
		"f.yaml:4: spec.period: this field is missing; write for example period: 20ms");
}

TEST(a_document_of_another_kind_has_only_that_fault)
{
	CHECK_TEXT(faults_of("apiVersion: v1\n"
			     "kind: Pod\n"
			     "spec: {containers: []}\n"),
		"f.yaml:2: kind: \"Pod\" is not known here; write kind: Reservation");
}

TEST(another_version_is_refused)
{
	CHECK_TEXT(faults_of("apiVersion: rt.takt.dev/v2\n"
			     "kind: Reservation\n"
			     "metadata: {name: a}\n"
			     "spec: {runtime: 4ms, period: 20ms}\n"),
		"f.yaml:1: apiVersion: \"rt.takt.dev/v2\" is not known here; write apiVersion: rt.takt.dev/v1alpha1");
	CHECK_TEXT(faults_of("apiVersion: 1\n"
			     "kind: 2\n"
			     "metadata: {name: a}\n"
			     "spec: {runtime: 4ms, period: 20ms}\n"),
		"f.yaml:2: kind: \"2\" is a number; write text, as in kind: Reservation");
}

TEST(an_unknown_field_is_told_what_was_meant)
{
	CHECK_TEXT(faults_of(CAMERA "  runtme: 1ms\n"),
		"f.yaml:7: spec.runtme: there is no such field; did you mean runtime?");
	CHECK_TEXT(faults_of(CAMERA "  Runtime: 1ms\n"),
		"f.yaml:7: spec.Runtime: there is no such field; did you mean runtime?");
	CHECK_TEXT(faults_of(CAMERA "  preiod: 1ms\n"),
		"f.yaml:7: spec.preiod: there is no such field; did you mean period?");
	CHECK_TEXT(faults_of(CAMERA "  core: 1\n"),
		"f.yaml:7: spec.core: there is no such field; did you mean cores?");
	CHECK_TEXT(faults_of(CAMERA "  name: a\n"),
		"f.yaml:7: spec.name: there is no such field; did you mean metadata.name?");
	CHECK_TEXT(faults_of(CAMERA "  minRuntime: 1ms\n"),
		"f.yaml:7: spec.minRuntime: there is no such field; did you mean spec.adapt.minRuntime?");
	CHECK_TEXT(faults_of(CAMERA "  threads: {mian: true}\n"),
		"f.yaml:7: spec.threads.mian: there is no such field; did you mean main?");
	CHECK_TEXT(faults_of("apiVersion: rt.takt.dev/v1alpha1\n"
			     "kind: Reservation\n"
			     "metadata: {name: a, label: {}}\n"
			     "spec: {runtime: 4ms, period: 20ms}\n"
			     "runtime: 1ms\n"),
		"f.yaml:3: metadata.label: there is no such field; did you mean labels?\n"
		"f.yaml:5: runtime: there is no such field; did you mean spec.runtime?");
}

TEST(an_unknown_field_like_no_other_is_told_the_fields)
{
	CHECK_TEXT(faults_of(CAMERA "  sockets: 4\n"),
		"f.yaml:7: spec.sockets: there is no such field; the fields here are runtime, period, deadline, cores, guarantee, threads, placement, cpus, reclaim, adapt");
	CHECK_TEXT(faults_of(CAMERA "  threads: {regex: x}\n"),
		"f.yaml:7: spec.threads.regex: there is no such field; the fields here are main, match, attach, all");
	CHECK_TEXT(faults_of("apiVersion: rt.takt.dev/v1alpha1\n"
			     "kind: Reservation\n"
			     "metadata: {name: a, uid: b}\n"
			     "spec: {runtime: 4ms, period: 20ms}\n"
			     "status: {}\n"),
		"f.yaml:3: metadata.uid: there is no such field; the fields here are name, labels\n"
		"f.yaml:5: status: there is no such field; the fields here are apiVersion, kind, metadata, spec");
}

TEST(an_unknown_field_is_printable_and_short)
{
	CHECK_TEXT(faults_of(CAMERA "  \"a\\e b\": 1\n"),
		"f.yaml:7: spec.\"a\\x1b b\": there is no such field; the fields here are runtime, period, deadline, cores, guarantee, threads, placement, cpus, reclaim, adapt");
	CHECK_TEXT(faults_of(CAMERA "  \"\": 1\n"),
		"f.yaml:7: spec.\"\": there is no such field; the fields here are runtime, period, deadline, cores, guarantee, threads, placement, cpus, reclaim, adapt");
	CHECK_TEXT(faults_of(CAMERA "  \303\244: 1\n"),
		"f.yaml:7: spec.\"\\xc3\\xa4\": there is no such field; the fields here are runtime, period, deadline, cores, guarantee, threads, placement, cpus, reclaim, adapt");
	CHECK_TEXT(
		faults_of(CAMERA
			"  xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx: 1\n"),
		"f.yaml:7: spec.\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...\": there is no such field; the fields here are runtime, period, deadline, cores, guarantee, threads, placement, cpus, reclaim, adapt");
}

TEST(a_field_given_twice_is_told_with_the_first_line)
{
	CHECK_TEXT(faults_of(CAMERA "  runtime: 5ms\n"),
		"f.yaml:7: spec.runtime: this field is given twice, first on line 5");
	CHECK_TEXT(faults_of(CAMERA "  \"period\": 5ms\n"),
		"f.yaml:7: spec.period: this field is given twice, first on line 6");
	CHECK_TEXT(
		faults_of(CAMERA "  adapt: {minRuntime: 1ms, minRuntime: 1ms, maxRuntime: 8ms}\n"),
		"f.yaml:7: spec.adapt.minRuntime: this field is given twice, first on line 7");
}

TEST(a_wrong_type_is_told_with_the_right_one)
{
	CHECK_TEXT(faults_of(CAMERA "  cores: \"2\"\n"),
		"f.yaml:7: spec.cores: \"2\" is text in quotes; write a whole number, as in cores: 2");
	CHECK_TEXT(faults_of(CAMERA "  cores: two\n"),
		"f.yaml:7: spec.cores: \"two\" is text; write a whole number, as in cores: 2");
	CHECK_TEXT(faults_of(CAMERA "  cores: 2.5\n"),
		"f.yaml:7: spec.cores: \"2.5\" is a number; write a whole number, as in cores: 2");
	CHECK_TEXT(faults_of(CAMERA "  cores: 2e0\n"),
		"f.yaml:7: spec.cores: \"2e0\" is a number; write a whole number, as in cores: 2");
	CHECK_TEXT(faults_of(CAMERA "  cores: true\n"),
		"f.yaml:7: spec.cores: \"true\" is a boolean; write a whole number, as in cores: 2");
	CHECK_TEXT(faults_of(CAMERA "  cores:\n"),
		"f.yaml:7: spec.cores: there is no value here; write a whole number, as in cores: 2");
	CHECK_TEXT(faults_of(CAMERA "  cores: ~\n"),
		"f.yaml:7: spec.cores: there is no value here; write a whole number, as in cores: 2");
	CHECK_TEXT(faults_of(CAMERA "  cores: [1]\n"),
		"f.yaml:7: spec.cores: this is a list; write a whole number, as in cores: 2");
	CHECK_TEXT(faults_of(CAMERA "  cores: {a: b}\n"),
		"f.yaml:7: spec.cores: this is a map; write a whole number, as in cores: 2");
	CHECK_TEXT(faults_of(CAMERA "  deadline: []\n"),
		"f.yaml:7: spec.deadline: this is a list; write a duration, as in deadline: 20ms");
	CHECK_TEXT(faults_of(CAMERA "  deadline: {}\n"),
		"f.yaml:7: spec.deadline: this is a map; write a duration, as in deadline: 20ms");
	CHECK_TEXT(faults_of(CAMERA "  deadline:\n"),
		"f.yaml:7: spec.deadline: there is no value here; write a duration, as in deadline: 20ms");
	CHECK_TEXT(faults_of(CAMERA "  guarantee: 5\n"),
		"f.yaml:7: spec.guarantee: \"5\" is a number; write hard or soft, as in guarantee: hard");
	CHECK_TEXT(faults_of(CAMERA "  guarantee: [hard]\n"),
		"f.yaml:7: spec.guarantee: this is a list; write hard or soft, as in guarantee: hard");
	CHECK_TEXT(faults_of(CAMERA "  placement:\n"),
		"f.yaml:7: spec.placement: there is no value here; write auto, shared, exclusive, group or pinned, as in placement: auto");
	CHECK_TEXT(faults_of(CAMERA "  placement: true\n"),
		"f.yaml:7: spec.placement: \"true\" is a boolean; write auto, shared, exclusive, group or pinned, as in placement: auto");
	CHECK_TEXT(faults_of(CAMERA "  cpus: 1\n"),
		"f.yaml:7: spec.cpus: \"1\" is a number; write CPUs in quotes, as in cpus: \"2-3\"");
	CHECK_TEXT(faults_of(CAMERA "  cpus: \"\"\n"),
		"f.yaml:7: spec.cpus: no CPU is named; write CPUs in quotes, or leave it out");
	CHECK_TEXT(faults_of(CAMERA "  cpus: 0,\n"),
		"f.yaml:7: spec.cpus: \"0,\" is not a list of CPUs as in 0-3,8: it ends in a comma");
	CHECK_TEXT(faults_of(CAMERA "  threads: main\n"),
		"f.yaml:7: spec.threads: \"main\" is text; write a map, as in threads: {main: true}");
	CHECK_TEXT(faults_of(CAMERA "  threads: [main]\n"),
		"f.yaml:7: spec.threads: this is a list; write a map, as in threads: {main: true}");
	CHECK_TEXT(faults_of(CAMERA "  threads: {match: worker}\n"),
		"f.yaml:7: spec.threads.match: \"worker\" is text; write a list of text, as in match: [\"worker-*\"]");
	CHECK_TEXT(faults_of(CAMERA "  threads: {all: yes}\n"),
		"f.yaml:7: spec.threads.all: \"yes\" is text; write true, as in all: true");
	CHECK_TEXT(faults_of(CAMERA "  threads: {main: false}\n"),
		"f.yaml:7: spec.threads.main: \"false\" is a boolean; write true, as in main: true");
	CHECK_TEXT(faults_of(CAMERA "  threads: {attach: \"true\"}\n"),
		"f.yaml:7: spec.threads.attach: \"true\" is text in quotes; write true, as in attach: true");
	CHECK_TEXT(faults_of(CAMERA "  reclaim: yes\n"),
		"f.yaml:7: spec.reclaim: \"yes\" is text; write true or false, as in reclaim: true");
	CHECK_TEXT(faults_of(CAMERA "  reclaim: True\n"),
		"f.yaml:7: spec.reclaim: \"True\" is text; write true or false, as in reclaim: true");
	CHECK_TEXT(faults_of(CAMERA "  reclaim: \"true\"\n"),
		"f.yaml:7: spec.reclaim: \"true\" is text in quotes; write true or false, as in reclaim: true");
	CHECK_TEXT(faults_of(CAMERA "  reclaim: 1\n"),
		"f.yaml:7: spec.reclaim: \"1\" is a number; write true or false, as in reclaim: true");
	CHECK_TEXT(faults_of(CAMERA "  adapt: auto\n"),
		"f.yaml:7: spec.adapt: \"auto\" is text; write a map, as in adapt: {minRuntime: 1ms, maxRuntime: 8ms}");
	CHECK_TEXT(faults_of(CAMERA "  adapt:\n"),
		"f.yaml:7: spec.adapt: there is no value here; write a map, as in adapt: {minRuntime: 1ms, maxRuntime: 8ms}");
	CHECK_TEXT(faults_of(CAMERA "  adapt: {minRuntime: 1ms, maxRuntime: 8ms, missRate: []}\n"),
		"f.yaml:7: spec.adapt.missRate: this is a list; write a share, as in missRate: 1%");
	CHECK_TEXT(faults_of("apiVersion: rt.takt.dev/v1alpha1\n"
			     "kind: Reservation\n"
			     "metadata: camera\n"
			     "spec: []\n"),
		"f.yaml:3: metadata: \"camera\" is text; write a map, as in metadata: {name: camera}\n"
		"f.yaml:4: spec: this is a list; write a map, as in spec: {runtime: 4ms, period: 20ms}");
	CHECK_TEXT(faults_of("apiVersion: rt.takt.dev/v1alpha1\n"
			     "kind: Reservation\n"
			     "metadata: {name: a, labels: app}\n"
			     "spec:\n"),
		"f.yaml:3: metadata.labels: \"app\" is text; write a map of text, as in labels: {app: vision}\n"
		"f.yaml:4: spec: there is no value here; write a map, as in spec: {runtime: 4ms, period: 20ms}");
}

TEST(text_that_looks_like_a_number_or_boolean_wants_quotes)
{
	CHECK_TEXT(faults_of(NAMED("12")),
		"f.yaml:3: metadata.name: \"12\" is a number; write \"12\" in quotes");
	CHECK_TEXT(faults_of(NAMED("-1.5e3")),
		"f.yaml:3: metadata.name: \"-1.5e3\" is a number; write \"-1.5e3\" in quotes");
	CHECK_TEXT(faults_of(NAMED("true")),
		"f.yaml:3: metadata.name: \"true\" is a boolean; write \"true\" in quotes");
	CHECK_TEXT(faults_of(NAMED("null")),
		"f.yaml:3: metadata.name: there is no value here; write text");
	CHECK_TEXT(faults_of(NAMED("")),
		"f.yaml:3: metadata.name: there is no value here; write text");
	CHECK_TEXT(faults_of(NAMED("{}")), "f.yaml:3: metadata.name: this is a map; write text");
	CHECK_TEXT(faults_of(NAMED("[a]")), "f.yaml:3: metadata.name: this is a list; write text");
}

TEST(a_bare_number_is_no_duration)
{
	CHECK_TEXT(faults_of(HEAD "  runtime: 4\n"
				  "  period: 20\n"),
		"f.yaml:5: spec.runtime: \"4\" has no unit: write ns, us, ms or s right after the number, as in 20ms\n"
		"f.yaml:6: spec.period: \"20\" has no unit: write ns, us, ms or s right after the number, as in 20ms");
	CHECK_TEXT(faults_of(HEAD "  runtime: \"4\"\n"
				  "  period: 1.5\n"),
		"f.yaml:5: spec.runtime: \"4\" has no unit: write ns, us, ms or s right after the number, as in 20ms\n"
		"f.yaml:6: spec.period: \"1.5\" has no unit: write ns, us, ms or s right after the number, as in 20ms");
}

TEST(a_bad_duration_is_told_with_the_right_form)
{
	CHECK_TEXT(faults_of(CAMERA "  deadline: 4 ms\n"),
		"f.yaml:7: spec.deadline: \"4 ms\" is not a duration: write one number and one unit (ns, us, ms or s), as in 4ms, 1.5ms or 500us");
	CHECK_TEXT(faults_of(CAMERA "  deadline: -4ms\n"),
		"f.yaml:7: spec.deadline: \"-4ms\" is not a duration: write one number and one unit (ns, us, ms or s), as in 4ms, 1.5ms or 500us");
	CHECK_TEXT(faults_of(CAMERA "  deadline: 4m\n"),
		"f.yaml:7: spec.deadline: \"4m\" is not a duration: write one number and one unit (ns, us, ms or s), as in 4ms, 1.5ms or 500us");
	CHECK_TEXT(faults_of(CAMERA "  deadline: 1e3ms\n"),
		"f.yaml:7: spec.deadline: \"1e3ms\" is not a duration: write one number and one unit (ns, us, ms or s), as in 4ms, 1.5ms or 500us");
	CHECK_TEXT(faults_of(CAMERA "  deadline: 1.5ns\n"),
		"f.yaml:7: spec.deadline: \"1.5ns\" is finer than 1ns, the smallest step");
	CHECK_TEXT(faults_of(CAMERA "  deadline: 10000000000s\n"),
		"f.yaml:7: spec.deadline: \"10000000000s\" is too long: a duration is at most 2^63-1 ns");
	CHECK_TEXT(faults_of(CAMERA "  deadline: true\n"),
		"f.yaml:7: spec.deadline: \"true\" is not a duration: write one number and one unit (ns, us, ms or s), as in 4ms, 1.5ms or 500us");
	CHECK_TEXT(faults_of(CAMERA "  deadline: soon\n"),
		"f.yaml:7: spec.deadline: \"soon\" is not a duration: write one number and one unit (ns, us, ms or s), as in 4ms, 1.5ms or 500us");
}

TEST(an_automatic_period_needs_an_estimator)
{
	CHECK_TEXT(faults_of(HEAD "  runtime: 4ms\n"
				  "  period: auto\n"),
		"f.yaml:6: spec.period: auto needs a period estimator, which this version does not have; write a duration, as in period: 20ms");
	CHECK_TEXT(faults_of(HEAD "  runtime: 4ms\n"
				  "  period: \"auto\"\n"),
		"f.yaml:6: spec.period: auto needs a period estimator, which this version does not have; write a duration, as in period: 20ms");
}

TEST(an_unknown_word_is_told_the_known_ones)
{
	CHECK_TEXT(faults_of(CAMERA "  guarantee: firm\n"),
		"f.yaml:7: spec.guarantee: \"firm\" is not known here; write hard or soft");
	CHECK_TEXT(faults_of(CAMERA "  guarantee: none\n"),
		"f.yaml:7: spec.guarantee: \"none\" is not known here; write hard or soft");
	CHECK_TEXT(faults_of(CAMERA "  guarantee: Hard\n"),
		"f.yaml:7: spec.guarantee: \"Hard\" is not known here; write hard or soft");
	CHECK_TEXT(faults_of(CAMERA "  placement: share\n"),
		"f.yaml:7: spec.placement: \"share\" is not known here; write auto, shared, exclusive, group or pinned");
	CHECK_TEXT(faults_of(CAMERA "  placement: none\n"),
		"f.yaml:7: spec.placement: \"none\" is not known here; write auto, shared, exclusive, group or pinned");
}

TEST(cores_out_of_range_are_told_the_range)
{
	CHECK_TEXT(faults_of(CAMERA "  cores: 0\n"), "f.yaml:7: spec.cores: 0 is outside 1 to 256");
	CHECK_TEXT(
		faults_of(CAMERA "  cores: -1\n"), "f.yaml:7: spec.cores: -1 is outside 1 to 256");
	CHECK_TEXT(faults_of(CAMERA "  cores: 257\n"),
		"f.yaml:7: spec.cores: 257 is outside 1 to 256");
	CHECK_TEXT(faults_of(CAMERA "  cores: 99999999999999999999999999\n"),
		"f.yaml:7: spec.cores: 99999999999999999999 is outside 1 to 256");
}

TEST(threads_have_exactly_one_rule)
{
	CHECK_TEXT(faults_of(CAMERA "  threads: {}\n"),
		"f.yaml:7: spec.threads: 0 rules are given; write one of main, match, attach and all, as in threads: {main: true}");
	CHECK_TEXT(faults_of(CAMERA "  threads: {main: true, all: true}\n"),
		"f.yaml:7: spec.threads: 2 rules are given; write one of main, match, attach and all, as in threads: {main: true}");
	CHECK_TEXT(faults_of(CAMERA "  threads: {match: [a], attach: true, all: true}\n"),
		"f.yaml:7: spec.threads: 3 rules are given; write one of main, match, attach and all, as in threads: {main: true}");
	CHECK_TEXT(faults_of(CAMERA "  threads: {main: true, main: true}\n"),
		"f.yaml:7: spec.threads.main: this field is given twice, first on line 7");
}

TEST(patterns_are_1_to_8_texts_of_1_to_15_bytes)
{
	CHECK_TEXT(faults_of(CAMERA "  threads: {match: []}\n"),
		"f.yaml:7: spec.threads.match: 0 patterns are given; write 1 to 8");
	CHECK_TEXT(faults_of(CAMERA "  threads: {match: [a, b, c, d, e, f, g, h, i]}\n"),
		"f.yaml:7: spec.threads.match: 9 patterns are given; write 1 to 8");
	CHECK_TEXT(faults_of(CAMERA "  threads:\n"
				    "    match:\n"
				    "    - 1\n"
				    "    - true\n"
				    "    - \"\"\n"
				    "    - 1234567890-12345\n"
				    "    - {}\n"
				    "    -\n"
				    "    - \"a\\0\"\n"
				    "    - &x b\n"),
		"f.yaml:9: spec.threads.match[0]: \"1\" is a number; write \"1\" in quotes\n"
		"f.yaml:10: spec.threads.match[1]: \"true\" is a boolean; write \"true\" in quotes\n"
		"f.yaml:11: spec.threads.match[2]: \"\" has 0 bytes; the name of a thread has 1 to 15\n"
		"f.yaml:12: spec.threads.match[3]: \"1234567890-12345\" has 16 bytes; the name of a thread has 1 to 15\n"
		"f.yaml:13: spec.threads.match[4]: this is a map; write text\n"
		"f.yaml:14: spec.threads.match[5]: there is no value here; write text\n"
		"f.yaml:15: spec.threads.match[6]: there is a NUL character in it; write plain text\n"
		"f.yaml:16: spec.threads.match[7]: anchors (&x) are not read here; write the value out where it is needed");
}

TEST(a_bad_name_is_told_the_rule)
{
	CHECK_TEXT(faults_of(NAMED("\"a b\"")),
		"f.yaml:3: metadata.name: \"a b\" is not a name: write 1 to 128 letters, digits, '-', '_' or '.', first and last a letter or digit");
	CHECK_TEXT(faults_of(NAMED("-a")),
		"f.yaml:3: metadata.name: \"-a\" is not a name: write 1 to 128 letters, digits, '-', '_' or '.', first and last a letter or digit");
	CHECK_TEXT(faults_of(NAMED("a/b")),
		"f.yaml:3: metadata.name: \"a/b\" is not a name: write 1 to 128 letters, digits, '-', '_' or '.', first and last a letter or digit");
	CHECK_TEXT(faults_of(NAMED("\"\"")),
		"f.yaml:3: metadata.name: \"\" is not a name: write 1 to 128 letters, digits, '-', '_' or '.', first and last a letter or digit");
	CHECK_TEXT(faults_of(NAMED("k\303\244mera")),
		"f.yaml:3: metadata.name: \"k\\xc3\\xa4mera\" is not a name: write 1 to 128 letters, digits, '-', '_' or '.', first and last a letter or digit");
	CHECK_TEXT(
		faults_of(NAMED(
			"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")),
		"f.yaml:3: metadata.name: \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...\" is not a name: write 1 to 128 letters, digits, '-', '_' or '.', first and last a letter or digit");
}

TEST(bad_labels_are_told_one_by_one)
{
	CHECK_TEXT(
		faults_of(
			"apiVersion: rt.takt.dev/v1alpha1\n"
			"kind: Reservation\n"
			"metadata:\n"
			"  name: a\n"
			"  labels:\n"
			"    a: 1\n"
			"    b: true\n"
			"    c:\n"
			"    \"\": x\n"
			"    d: [1]\n"
			"    e: f\n"
			"    e: g\n"
			"    kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk: l\n"
			"    m: vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv\n"
			"    o: *x\n"
			"    <<: {p: q}\n"
			"spec: {runtime: 4ms, period: 20ms}\n"),
		"f.yaml:6: metadata.labels.a: \"1\" is a number; write \"1\" in quotes\n"
		"f.yaml:7: metadata.labels.b: \"true\" is a boolean; write \"true\" in quotes\n"
		"f.yaml:8: metadata.labels.c: there is no value here; write text\n"
		"f.yaml:9: metadata.labels.\"\": the name of a label has 1 to 63 bytes\n"
		"f.yaml:10: metadata.labels.d: this is a list; write text\n"
		"f.yaml:12: metadata.labels.e: this label is given twice, first on line 11\n"
		"f.yaml:13: metadata.labels.\"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk...\": the name of a label has 1 to 63 bytes\n"
		"f.yaml:14: metadata.labels.m: a label has at most 253 bytes\n"
		"f.yaml:15: metadata.labels.o: aliases (*x) are not read here; write the value out\n"
		"f.yaml:16: metadata.labels.<<: merge keys are not read here; write the fields out");
	CHECK_TEXT(
		faults_of(
			"apiVersion: rt.takt.dev/v1alpha1\n"
			"kind: Reservation\n"
			"metadata: {name: a, labels: {l0: x, l1: x, l2: x, l3: x, l4: x, l5: x, l6: x, l7: x, l8: x, l9: x, l10: x, l11: x, l12: x, l13: x, l14: x, l15: x, l16: x, l17: x, l18: x, l19: x, l20: x, l21: x, l22: x, l23: x, l24: x, l25: x, l26: x, l27: x, l28: x, l29: x, l30: x, l31: x, l32: x}}\n"
			"spec: {runtime: 4ms, period: 20ms}\n"),
		"f.yaml:3: metadata.labels: 33 labels are given, at most 32 are taken");
}

TEST(a_bad_miss_rate_is_told_the_right_form)
{
	CHECK_TEXT(faults_of(CAMERA "  adapt: {minRuntime: 1ms, maxRuntime: 8ms, missRate: 1}\n"),
		"f.yaml:7: spec.adapt.missRate: \"1\" is not a share: write 0% to 100% with at most four decimals, as in missRate: 1%");
	CHECK_TEXT(
		faults_of(CAMERA "  adapt: {minRuntime: 1ms, maxRuntime: 8ms, missRate: 0.01}\n"),
		"f.yaml:7: spec.adapt.missRate: \"0.01\" is not a share: write 0% to 100% with at most four decimals, as in missRate: 1%");
	CHECK_TEXT(faults_of(CAMERA
			   "  adapt: {minRuntime: 1ms, maxRuntime: 8ms, missRate: 100.0001%}\n"),
		"f.yaml:7: spec.adapt.missRate: \"100.0001%\" is not a share: write 0% to 100% with at most four decimals, as in missRate: 1%");
	CHECK_TEXT(faults_of(CAMERA
			   "  adapt: {minRuntime: 1ms, maxRuntime: 8ms, missRate: 0.00001%}\n"),
		"f.yaml:7: spec.adapt.missRate: \"0.00001%\" is not a share: write 0% to 100% with at most four decimals, as in missRate: 1%");
	CHECK_TEXT(faults_of(CAMERA "  adapt: {minRuntime: 1ms, maxRuntime: 8ms, missRate: 1.%}\n"),
		"f.yaml:7: spec.adapt.missRate: \"1.%\" is not a share: write 0% to 100% with at most four decimals, as in missRate: 1%");
	CHECK_TEXT(
		faults_of(CAMERA "  adapt: {minRuntime: 1ms, maxRuntime: 8ms, missRate: 1000%}\n"),
		"f.yaml:7: spec.adapt.missRate: \"1000%\" is not a share: write 0% to 100% with at most four decimals, as in missRate: 1%");
}

TEST(anchors_aliases_tags_and_merge_keys_are_refused)
{
	CHECK_TEXT(faults_of(CAMERA "  deadline: &a 10ms\n"),
		"f.yaml:7: spec.deadline: anchors (&x) are not read here; write the value out where it is needed");
	CHECK_TEXT(faults_of(CAMERA "  deadline: *a\n"),
		"f.yaml:7: spec.deadline: aliases (*x) are not read here; write the value out");
	CHECK_TEXT(faults_of(CAMERA "  deadline: !!str 10ms\n"),
		"f.yaml:7: spec.deadline: tags (!x) are not read here; write the value alone");
	CHECK_TEXT(faults_of(CAMERA "  deadline: !x 10ms\n"),
		"f.yaml:7: spec.deadline: tags (!x) are not read here; write the value alone");
	CHECK_TEXT(faults_of(CAMERA "  adapt: &a {minRuntime: 1ms}\n"),
		"f.yaml:7: spec.adapt: anchors (&x) are not read here; write the value out where it is needed");
	CHECK_TEXT(faults_of(CAMERA "  threads: !x {main: true}\n"),
		"f.yaml:7: spec.threads: tags (!x) are not read here; write the value alone");
	CHECK_TEXT(faults_of(CAMERA "  threads: {match: &a [w]}\n"),
		"f.yaml:7: spec.threads.match: anchors (&x) are not read here; write the value out where it is needed");
	CHECK_TEXT(faults_of(CAMERA "  <<: {a: b}\n"),
		"f.yaml:7: spec.<<: merge keys are not read here; write the fields out");
	CHECK_TEXT(faults_of(CAMERA "  &a deadline: 10ms\n"),
		"f.yaml:7: spec.deadline: anchors (&x) are not read here; write the value out where it is needed");
	CHECK_TEXT(faults_of(CAMERA "  *a : 10ms\n"),
		"f.yaml:7: spec.\"\": aliases (*x) are not read here; write the value out");
	CHECK_TEXT(faults_of("&a {}\n"),
		"f.yaml:1: anchors (&x) are not read here; write the value out where it is needed");
	CHECK_TEXT(faults_of("--- !x\n"
			     "{}\n"),
		"f.yaml:1: tags (!x) are not read here; write the value alone");
}

TEST(tag_directives_are_refused_wherever_a_line_begins)
{
	CHECK_TEXT(faults_of("%TAG ! tag:x\n---\n" CAMERA),
		"f.yaml:1: %TAG directives are not read here");
	CHECK_TEXT(faults_of(CAMERA "...\n%TAG ! tag:x\n---\n" CAMERA),
		"f.yaml:8: %TAG directives are not read here");
	CHECK_TEXT(
		faults_of("---\n...\r%TAG ! a\n"), "f.yaml:2: %TAG directives are not read here");
	CHECK_TEXT(faults_of("---\n...\xe2\x80\xa8%TAG ! a\n"),
		"f.yaml:2: %TAG directives are not read here");
	CHECK_TEXT(faults_of(NAMED("x%TAG")),
		"f.yaml:3: metadata.name: \"x%TAG\" is not a name: write 1 to 128 letters, digits, '-', '_' or '.', first and last a letter or digit");
}

TEST(a_quoted_merge_sign_is_only_an_unknown_field)
{
	CHECK_TEXT(faults_of(CAMERA "  \"<<\": 1\n"),
		"f.yaml:7: spec.<<: there is no such field; the fields here are runtime, period, deadline, cores, guarantee, threads, placement, cpus, reclaim, adapt");
}

TEST(the_name_of_a_field_is_text)
{
	CHECK_TEXT(faults_of(CAMERA "  ? [a, {b: c}]\n"
				    "  : d\n"),
		"f.yaml:7: spec.?: the name of a field is plain text");
	CHECK_TEXT(faults_of(CAMERA "  {a: b}: c\n"),
		"f.yaml:7: spec.?: the name of a field is plain text");
	CHECK_TEXT(faults_of(CAMERA "  ? &x [a]\n"
				    "  : b\n"),
		"f.yaml:7: spec.?: anchors (&x) are not read here; write the value out where it is needed");
}

TEST(a_nul_character_is_refused)
{
	CHECK_TEXT(faults_of(CAMERA "  deadline: \"1\\0ms\"\n"),
		"f.yaml:7: spec.deadline: there is a NUL character in it; write plain text");
	CHECK_TEXT(faults_of(CAMERA "  \"dead\\0line\": 1ms\n"),
		"f.yaml:7: spec.dead: there is a NUL character in it; write plain text");
}

TEST(too_deep_is_refused)
{
	CHECK_TEXT(faults_of("[[[[[[[[[[["), "f.yaml:1: this is nested more than 10 levels deep");
	CHECK_TEXT(faults_of("a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: b}}}}}}}}}}\n"),
		"f.yaml:1: this is nested more than 10 levels deep");
}

TEST(the_reservation_as_a_whole_is_checked_last)
{
	CHECK_TEXT(faults_of(CAMERA "  deadline: 30ms\n"),
		"f.yaml:7: spec.deadline: 30ms is after the period of 20ms");
	CHECK_TEXT(faults_of(CAMERA "  deadline: 1ms\n"),
		"f.yaml:5: spec.runtime: 4ms does not fit before the deadline of 1ms");
	CHECK_TEXT(faults_of(CAMERA "  deadline: 0ms\n"),
		"f.yaml:5: spec.runtime: 4ms does not fit before the deadline of 0ns");
	CHECK_TEXT(faults_of(HEAD "  runtime: 1us\n"
				  "  period: 20ms\n"),
		"f.yaml:5: spec.runtime: 1us is under the kernel's floor of 1024ns");
	CHECK_TEXT(faults_of(HEAD "  runtime: 4ms\n"
				  "  period: 5s\n"),
		"f.yaml:6: spec.period: 5s is outside what the kernel takes, 100us to 4.194304s");
	CHECK_TEXT(faults_of(HEAD "  runtime: 4ms\n"
				  "  period: 0s\n"),
		"f.yaml:6: spec.period: 0ns is outside what the kernel takes, 100us to 4.194304s");
	CHECK_TEXT(faults_of(HEAD "  runtime: 30ms\n"
				  "  period: 20ms\n"),
		"f.yaml:5: spec.runtime: 30ms does not fit before the deadline of 20ms");
}

TEST(the_envelope_holds_the_runtime_and_fits_the_deadline)
{
	CHECK_TEXT(faults_of(CAMERA "  adapt: {minRuntime: 5ms, maxRuntime: 8ms}\n"),
		"f.yaml:7: spec.adapt.minRuntime: 5ms is above the runtime of 4ms");
	CHECK_TEXT(faults_of(CAMERA "  adapt: {minRuntime: 1ms, maxRuntime: 3ms}\n"),
		"f.yaml:7: spec.adapt.maxRuntime: 3ms is below the runtime of 4ms");
	CHECK_TEXT(faults_of(CAMERA "  adapt: {minRuntime: 1ms, maxRuntime: 21ms}\n"),
		"f.yaml:7: spec.adapt.maxRuntime: 21ms does not fit before the deadline of 20ms");
	CHECK_TEXT(faults_of(CAMERA "  adapt: {minRuntime: 0ms, maxRuntime: 8ms}\n"),
		"f.yaml:7: spec.adapt.minRuntime: 0ns is under the kernel's floor of 1024ns");
	CHECK_TEXT(faults_of(CAMERA "  adapt: {minRuntime: 5ms, maxRuntime: 3ms}\n"),
		"f.yaml:7: spec.adapt.minRuntime: 5ms is above the runtime of 4ms\n"
		"f.yaml:7: spec.adapt.maxRuntime: 3ms is below the runtime of 4ms");
}

TEST(a_name_may_be_given_once_in_a_file)
{
	CHECK_TEXT(faults_of("---\n"
			     "apiVersion: rt.takt.dev/v1alpha1\n"
			     "kind: Reservation\n"
			     "metadata:\n"
			     "  name: a\n"
			     "spec: {runtime: 4ms, period: 20ms}\n"
			     "---\n"
			     "apiVersion: rt.takt.dev/v1alpha1\n"
			     "kind: Reservation\n"
			     "metadata:\n"
			     "  name: b\n"
			     "spec: {runtime: 4ms, period: 20ms}\n"
			     "---\n"
			     "apiVersion: rt.takt.dev/v1alpha1\n"
			     "kind: Reservation\n"
			     "metadata:\n"
			     "  name: a\n"
			     "spec: {runtime: 4, period: 20ms}\n"
			     "---\n"
			     "apiVersion: rt.takt.dev/v1alpha1\n"
			     "kind: Reservation\n"
			     "metadata:\n"
			     "  name: a\n"
			     "spec: {runtime: 4ms, period: 20ms}\n"),
		"f.yaml:17: metadata.name: a is already the name of a document, on line 5\n"
		"f.yaml:18: spec.runtime: \"4\" has no unit: write ns, us, ms or s right after the number, as in 20ms\n"
		"f.yaml:23: metadata.name: a is already the name of a document, on line 17");
}

TEST(faults_of_several_documents_come_in_the_order_of_their_lines)
{
	CHECK_TEXT(faults_of("apiVersion: x\n"
			     "kind: Reservation\n"
			     "---\n"
			     "foo\n"
			     "---\n"
			     "spec: {}\n"
			     "kind: Reservation\n"
			     "metadata: {name: a}\n"
			     "apiVersion: y\n"
			     "--- \"\n"),
		"f.yaml:1: apiVersion: \"x\" is not known here; write apiVersion: rt.takt.dev/v1alpha1\n"
		"f.yaml:1: metadata: this field is missing; write for example metadata: {name: camera}\n"
		"f.yaml:1: spec: this field is missing; write for example spec: {runtime: 4ms, period: 20ms}\n"
		"f.yaml:4: a reservation is a map with apiVersion, kind, metadata and spec\n"
		"f.yaml:6: spec.runtime: this field is missing; write for example runtime: 4ms\n"
		"f.yaml:6: spec.period: this field is missing; write for example period: 20ms\n"
		"f.yaml:9: apiVersion: \"y\" is not known here; write apiVersion: rt.takt.dev/v1alpha1\n"
		"f.yaml:11: this is not YAML: found unexpected end of stream while scanning a quoted scalar");
}
