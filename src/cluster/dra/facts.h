/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a node can promise to claims, read from taktd's answers: room, what users select on, and
 * what is broken. Pure; used by takt-dra's publishing and its health stream.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "core/model/cpus.h"

#define FACTS_WHY_MAX 256
#define FACTS_TAINTS_MAX 5
#define FACTS_CPUS_MAX 1024

/* A device with it is not healthy; scheduled to it is nothing new, unless it only informs. */
struct facts_taint {
	const char *key, *value; /* rt.takt.dev/KEY=VALUE; key NULL: none */
	bool informs; /* effect None: for people and selectors */
	char why[FACTS_WHY_MAX]; /* a sentence */
};

struct facts_cpu {
	unsigned cpu;
	int core, socket, numa_node; /* -1: not known */
	uint64_t capacity_ppm;
	struct facts_taint taint;
};

struct facts {
	unsigned cpus; /* of the root domain */
	struct cpus usable; /* of them now */
	uint64_t ceiling_ppm; /* of each of them */
	uint64_t granularity_ns; /* how far a reservation may run past its budget */
	bool pinned; /* a device for each CPU; else one for all */
	bool group, hrtick, virtual_machine;
	bool hard_by_sum; /* hard claims that the scheduler's sum takes are proven, too */
	/*
	 * The shortest period at which one hard reservation more than there are CPUs, each of 10 %
	 * of a CPU, are all proven on the empty machine; 0: none. What overruns cost is in it.
	 */
	uint64_t hard_min_period_ns;
	/* In millionths of one CPU: what claims can have together, rounded down. */
	uint64_t capacity_ppm;
	struct facts_cpu *per_cpu; /* where pinned */
	size_t n_per_cpu;
	struct facts_taint taints[FACTS_TAINTS_MAX]; /* of every device */
	size_t n_taints;
};

#define FACTS_NULL ((struct facts){ 0 })

void facts_fini(struct facts *f); /* accepts NULL and zeroed facts */
#define cleanup_facts __attribute__((cleanup(facts_fini)))

/*
 * From the replies of rt.takt.List and rt.takt.Node: what the kernel grants, less what is promised
 * to others than claims, less what other programs hold, and less the rounding of many claims; but
 * never less than what claims have, and then with a taint. max_utilisation_ppm (0: not given) is
 * that of one server of any claim: see hard_by_sum. *ret changes on success only; facts_fini()
 * frees it. -EPROTO: a reply is not as rt.takt.varlink says. -ENOMEM.
 */
int facts_read(const json_t *list, const json_t *node, uint64_t max_utilisation_ppm,
	struct facts *ret, struct err *err);

/* taktd cannot be asked: what was known, and that it may not hold any more. */
void facts_set_unreachable(struct facts *f, const char *why);

/* Devices in the order in which the scheduler tries them. */
size_t facts_n_devices(const struct facts *f);
#define FACTS_DEVICE_NAME_MAX 16
void facts_device_name(const struct facts *f, size_t i, char buf[static FACTS_DEVICE_NAME_MAX]);
/* The first taint of the device that does not only inform; NULL: it is healthy. */
const struct facts_taint *facts_trouble(const struct facts *f, size_t i);
