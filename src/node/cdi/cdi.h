/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One CDI spec file per reservation, so that a container runtime knows the device
 * rt.takt.dev/reservation=NAME and what to do for it. Used by the agent.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

#define CDI_KIND "rt.takt.dev/reservation"
#define CDI_FILE_PREFIX "rt.takt.dev-reservation_" /* CDI SPEC.md: VENDOR-CLASS_ID.json */
#define CDI_SOCKET_FOLDER "/run/takt" /* inside the container; the socket there is takt.sock */

struct cdi_spec {
	const char *name; /* resv_name_valid() */
	const char *socket; /* the agent's own, for the hook; says whose file it is */
	const char *resv_socket_dir; /* on the host: the folder of its own takt.sock */
	const char *hook_path; /* absolute, of takt-hook */
};

/*
 * Writes the file of a reservation into `dir` (made 0755 if missing), atomically, and only if it
 * is not there with the same content. -EBUSY: a file of this name belongs to another agent, or
 * is none of ours, and is left alone.
 */
int cdi_spec_write(const char *dir, const struct cdi_spec *spec, struct err *err);

/* Removes it if it belongs to the agent at `socket`; not there, or not ours, is no error. */
int cdi_spec_remove(const char *dir, const char *socket, const char *name, struct err *err);

/*
 * Removes every file of the agent at `socket` that `keep` does not want, and what killed writers
 * left. Returns how many files went. Other agents' files and foreign ones are never touched.
 */
int cdi_specs_sweep(const char *dir, const char *socket, bool (*keep)(void *ctx, const char *name),
	void *ctx, struct err *err);
