// SPDX-License-Identifier: Apache-2.0
#include "cluster/nodeplugin/door.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <takt/takt.h>

#include "base/cleanup.h"

struct job {
	uv_work_t work;
	const char *socket, *method;
	char *parameters, *reply;
	int code;
	char error[ERR_TEXT_MAX];
	door_done *done;
	void *data;
};

static void run(uv_work_t *work)
{
	struct job *j = work->data;
	struct takt *takt = NULL;

	j->code = takt_open(&takt, j->socket);
	if (j->code == 0) {
		takt_set_timeout(takt, DOOR_TIMEOUT_MS);
		j->code = takt_call(takt, j->method, j->parameters, &j->reply);
	}
	if (j->code < 0)
		snprintf(j->error, sizeof(j->error), "%s",
			takt ? takt_error(takt) : strerror(-j->code));
	takt_close(takt);
}

static void finish(uv_work_t *work, int status)
{
	struct job *j = work->data;
	cleanup_json json_t *reply = j->reply ? json_loads(j->reply, 0, NULL) : NULL;

	if (j->code == 0 && (status < 0 || !reply)) {
		j->code = -ENOMEM;
		snprintf(j->error, sizeof(j->error), "takt-dra is out of memory, or ending");
	}
	j->done(j->data, j->code, reply, j->error);
	free(j->parameters);
	free(j->reply);
	free(j);
}

int door_call(uv_loop_t *loop, const char *socket, const char *method, json_t *parameters,
	door_done *done, void *data)
{
	cleanup_json json_t *owned = parameters;
	struct job *j = calloc(1, sizeof(*j));

	if (!j)
		return -ENOMEM;
	j->work.data = j;
	j->socket = socket;
	j->method = method;
	j->parameters = owned ? json_dumps(owned, JSON_COMPACT) : NULL;
	j->done = done;
	j->data = data;
	if (!j->parameters || uv_queue_work(loop, &j->work, run, finish) < 0) {
		free(j->parameters);
		free(j);
		return -ENOMEM;
	}
	return 0;
}
