// SPDX-License-Identifier: Apache-2.0
#include "client/lib/takt_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int takt_open(struct takt **ret, const char *socket)
{
	struct takt *t;

	if (!socket)
		socket = getenv("TAKT_SOCKET");
	if (!socket || !*socket)
		socket = TAKT_SOCKET_DEFAULT;
	if (strlen(socket) >= sizeof(t->to.sun_path))
		return -EINVAL;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->to.sun_family = AF_UNIX;
	strcpy(t->to.sun_path, socket);
	t->timeout_ms = TAKT_TIMEOUT_DEFAULT_MS;
	t->conn = CONN_NULL;
	*ret = t;
	return 0;
}

void takt_close(struct takt *t)
{
	if (!t)
		return;
	conn_fini(&t->conn);
	free(t);
}

void takt_set_timeout(struct takt *t, int timeout_ms)
{
	t->timeout_ms = timeout_ms;
}

const char *takt_socket(const struct takt *t)
{
	return t->to.sun_path;
}

const char *takt_error(const struct takt *t)
{
	return t->err.text;
}

const char *takt_error_name(const struct takt *t)
{
	return t->error_name;
}

static int no_memory(struct takt *t)
{
	return err_set(&t->err, -ENOMEM, "out of memory, or text that is not UTF-8");
}

static int document_load(struct takt *t, const char *text, json_t **ret)
{
	json_error_t why;

	*ret = json_loads(text, JSON_REJECT_DUPLICATES, &why);
	if (!*ret)
		return err_set(&t->err, -EINVAL, "the document is not JSON: %s", why.text);
	return 0;
}

int takt_reserve(struct takt *t, const char *document, char **ret_device)
{
	cleanup_json json_t *in = NULL, *out = NULL, *parsed = NULL;
	const char *device;
	char *copy;
	int r;

	takt_begin(t);
	r = document_load(t, document, &parsed);
	if (r < 0)
		return r;
	in = json_pack("{s:O}", "document", parsed);
	if (!in)
		return no_memory(t);
	r = takt_exchange(t, "rt.takt.Reserve", in, &out);
	if (r < 0 || !ret_device)
		return r;
	device = json_string_value(json_object_get(out, "device"));
	if (!device)
		return err_set(&t->err, -EPROTO, "the agent's answer has no device");
	copy = strdup(device);
	if (!copy)
		return no_memory(t);
	*ret_device = copy;
	return 0;
}

int takt_release(struct takt *t, const char *name)
{
	cleanup_json json_t *in = json_pack("{s:s}", "name", name);

	takt_begin(t);
	return in ? takt_exchange(t, "rt.takt.Release", in, NULL) : no_memory(t);
}

static int thread_call(struct takt *t, const char *method, const char *name, pid_t tid)
{
	cleanup_json json_t *in =
		json_pack("{s:s*, s:[i]}", "name", name, "tids", (int)(tid ? tid : gettid()));

	takt_begin(t);
	return in ? takt_exchange(t, method, in, NULL) : no_memory(t);
}

int takt_attach(struct takt *t, const char *name, pid_t tid)
{
	return thread_call(t, "rt.takt.Attach", name, tid);
}

int takt_detach(struct takt *t, const char *name, pid_t tid)
{
	return thread_call(t, "rt.takt.Detach", name, tid);
}
