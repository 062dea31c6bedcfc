/* SPDX-License-Identifier: Apache-2.0 */
/*
 * taktd's settings: one table of name, default and help, from which the options, the file and
 * `--help` come. Flags override the file.
 */
#pragma once

#include "base/err.h"
#include "core/model/resv.h"
#include "core/model/units.h"

#define CONFIG_PATH_MAX 512

struct config {
	char socket[CONFIG_PATH_MAX];
	char state_dir[CONFIG_PATH_MAX];
	char run_dir[CONFIG_PATH_MAX];
	char cdi_dir[CONFIG_PATH_MAX];
	char hook[CONFIG_PATH_MAX];
	char group[CONFIG_PATH_MAX];
	nsec_t own_runtime_ns, own_period_ns;
	bool standby; /* until the agent that has the store ends */
};

enum config_answer {
	CONFIG_RUN,
	CONFIG_DONE, /* --help, --version: printed */
};

/*
 * -EINVAL: wrong usage; any other: the file could not be read. *ret is whole on success only.
 */
int config_read(
	int argc, char **argv, struct config *ret, enum config_answer *ret_answer, struct err *err);

/* The folder of a reservation's own socket, which its container sees as /run/takt. */
void config_own_dir(const struct config *c, const char *name, char ret[static CONFIG_PATH_MAX]);
