/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lines of `takt doctor` that are Kubernetes' own: kubelet, runtime, NRI, cgroup driver, CPU
 * manager. Pure; used by takt-dra, which tells them to taktd.
 */
#pragma once

#include <jansson.h>

#include "base/err.h"
#include "cluster/dra/pods.h"
#include "core/model/info.h"

#define CHECKS_LINES 5
#define CHECKS_TEXT_MAX 400 /* what rt.takt.Tell takes, and less */
#define CHECKS_VERSION_MAX 64

struct checks_facts {
	/* The kubelet */
	bool registered; /* it has taken us once */
	bool connected; /* now: since 1.34 it stays so */
	const char *refused; /* why it does not take us; NULL: it did not say so */
	bool one_claim; /* the API server drops what lets claims share a device */

	/* The Node object's status.nodeInfo; "": not read yet, and why */
	char kubelet[CHECKS_VERSION_MAX];
	char runtime[CHECKS_VERSION_MAX]; /* "containerd://2.3.7" */
	char node_why[ERR_TEXT_MAX];

	/* NRI */
	bool nri_used, nri_connected;
	bool nri_scheduler; /* it puts first threads under their reservations */
	const char *nri_path, *nri_why; /* while it is not connected */
	const char *nri_name, *nri_version;
};

/* Takes the versions out of a Node object; those that it does not have stay. */
void checks_read_node(const json_t *node, struct checks_facts *f);

struct checks_line {
	const char *name;
	enum check_status status;
	char detail[CHECKS_TEXT_MAX]; /* printable ASCII */
	const char *mend; /* NULL: nothing to do */
};

void checks_lines(const struct checks_facts *f, const struct pods *pods,
	struct checks_line ret[static CHECKS_LINES]);

/* The parameter `checks` of rt.takt.Tell; NULL: out of memory. */
json_t *checks_encode(const struct checks_line *lines, size_t n);
