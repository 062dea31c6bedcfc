// SPDX-License-Identifier: Apache-2.0
#include "cluster/wire/nri/plugin.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "cluster/wire/nri/codec_private.h"
#include "cluster/wire/nri/plugin_private.h"

#define RUNTIME_SERVICE "nri.pkg.api.v1alpha1.Runtime"
#define SPOKEN_VERSION "v0.12.5" /* of the messages here; runtimes only log it */
#define NAME_CHARACTERS              \
	"abcdefghijklmnopqrstuvwxyz" \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZ" \
	"0123456789_.+-"
#define DIGITS "0123456789"
/* Two of the longest messages: an answer while one waits to be written. */
#define OUT_MAX_BYTES (2 * (NRI_MUX_FRAME_MAX + 2 * NRI_MUX_HEADER_LEN))

void plugin_fail(struct nri_plugin *p, int code, const char *what)
{
	if (p->failed)
		return;
	p->failed = code;
	if (code == -ENOBUFS)
		err_set(&p->why, code, "%s: the runtime does not read what it is sent", what);
	else
		err_set_errno(&p->why, code, "%s", what);
}

static bool is_name(const char *name)
{
	return name && name[0] && name[strspn(name, NAME_CHARACTERS)] == '\0';
}

static bool is_index(const char *index)
{
	return index && strlen(index) == 2 && strspn(index, DIGITS) == 2;
}

int nri_plugin_create(const struct nri_identity *id, const struct nri_handlers *handlers,
	void *user, struct nri_plugin **ret, struct err *err)
{
	struct nri_plugin *p;

	if (!is_name(id->name))
		return err_set(err, -EINVAL,
			"the name of an NRI plugin has letters, digits and _.+- only");
	if (!is_index(id->index))
		return err_set(err, -EINVAL, "the index of an NRI plugin is two digits, as in 10");
	if (!handlers->create_container)
		return err_set(err, -EINVAL, "an NRI plugin of Takt handles create_container");
	p = calloc(1, sizeof(*p));
	if (!p)
		return err_set_errno(err, -ENOMEM, "make an NRI plugin");
	p->id = *id;
	p->handlers = handlers;
	p->user = user;
	p->from_plugin = p->from_runtime = TTRPC_READER_NULL;
	p->out.max = OUT_MAX_BYTES;
	*ret = p;
	return 0;
}

void nri_plugin_destroy(struct nri_plugin *p)
{
	if (!p)
		return;
	nri_plugin_disconnected(p);
	free(p);
}

enum nri_state nri_plugin_state(const struct nri_plugin *p)
{
	return p->state;
}

static void on_registered(void *user, struct bytes payload, const struct err *err)
{
	struct nri_plugin *p = user;

	if (!err || p->failed || p->state == NRI_DISCONNECTED)
		return;
	p->failed = err->code;
	p->why = *err;
	err_wrap(&p->why, err->code, "register the NRI plugin %s-%s", p->id.index, p->id.name);
}

static int call_register(struct nri_plugin *p, struct err *err)
{
	cleanup_arena struct arena arena = ARENA_NULL;
	struct bytes payload;
	int r = codec_write_register(&arena, p->id.name, p->id.index, SPOKEN_VERSION, &payload);

	if (r < 0)
		return err_set_errno(err, r, "register the NRI plugin %s", p->id.name);
	return ttrpc_client_call(
		&p->client, RUNTIME_SERVICE, "RegisterPlugin", payload, on_registered, p, err);
}

int nri_plugin_connected(struct nri_plugin *p, struct err *err)
{
	int r;

	nri_plugin_disconnected(p);
	p->epoch++;
	p->server = (struct ttrpc_server){
		.methods = plugin_methods,
		.user = p,
		.out = &p->out,
		.connection = NRI_MUX_PLUGIN,
	};
	p->client = (struct ttrpc_client){ .out = &p->out, .connection = NRI_MUX_RUNTIME };
	r = call_register(p, err);
	if (r == 0)
		p->state = NRI_REGISTERING;
	return r;
}

void nri_plugin_disconnected(struct nri_plugin *p)
{
	p->state = NRI_DISCONNECTED;
	p->failed = 0;
	p->why = ERR_NULL;
	p->mux = (struct nri_mux){ 0 };
	p->server = (struct ttrpc_server){ 0 };
	ttrpc_reader_fini(&p->from_plugin);
	ttrpc_reader_fini(&p->from_runtime);
	nri_buffer_fini(&p->out);
	ttrpc_client_lost(&p->client);
}

static int feed_plugin(struct nri_plugin *p, struct bytes in)
{
	struct ttrpc_frame frame;
	int r = 1;

	while (!p->failed && (r = ttrpc_next(&p->from_plugin, &in, &frame)) > 0) {
		r = ttrpc_server_take(&p->server, &frame);
		if (r < 0)
			break;
	}
	return r < 0 ? r : 0;
}

static int feed_runtime(struct nri_plugin *p, struct bytes in)
{
	struct ttrpc_frame frame;
	int r = 1;

	while (!p->failed && (r = ttrpc_next(&p->from_runtime, &in, &frame)) > 0)
		ttrpc_client_take(&p->client, &frame);
	return r < 0 ? r : 0;
}

int nri_plugin_feed(struct nri_plugin *p, struct bytes in, struct err *err)
{
	struct bytes piece;
	uint32_t connection;
	int r;

	if (p->state == NRI_DISCONNECTED)
		return err_set(err, -ENOTCONN, "there is no connection to a runtime");
	while (!p->failed) {
		r = nri_mux_next(&p->mux, &in, &connection, &piece, err);
		if (r <= 0)
			return r;
		r = connection == NRI_MUX_PLUGIN ? feed_plugin(p, piece) : feed_runtime(p, piece);
		if (r < 0)
			plugin_fail(p, r, "serve the runtime");
	}
	return err_set(err, p->failed, "%s", p->why.text);
}

struct bytes nri_plugin_output(const struct nri_plugin *p)
{
	return nri_buffer_bytes(&p->out);
}

void nri_plugin_written(struct nri_plugin *p, size_t n)
{
	nri_buffer_take(&p->out, n);
}

/* What `done` of an update needs; freed when it has been called. */
struct update_call {
	nri_updated done;
	void *user;
};

static void on_updated(void *user, struct bytes payload, const struct err *err)
{
	cleanup_free struct update_call *call = user;
	cleanup_arena struct arena arena = ARENA_NULL;
	const char *const *failed = NULL;
	struct err unread = ERR_NULL;
	size_t n = 0;
	int r;

	if (!err) {
		r = codec_read_updated(&arena, payload, &failed, &n);
		if (r < 0) {
			err_set_errno(&unread, r, "read the runtime's answer to an update");
			err = &unread;
		}
	}
	call->done(call->user, failed, n, err);
}

int nri_plugin_update(struct nri_plugin *p, const struct nri_update *updates, size_t n,
	nri_updated done, void *user, struct err *err)
{
	cleanup_arena struct arena arena = ARENA_NULL;
	cleanup_free struct update_call *call = NULL;
	struct bytes payload;
	int r;

	if (p->state != NRI_READY)
		return err_set(err, -ENOTCONN, "no runtime is connected that could update");
	call = malloc(sizeof(*call));
	r = call ? codec_write_updates(&arena, updates, n, &payload) : -ENOMEM;
	if (r < 0)
		return err_set_errno(err, r, "ask the runtime for an update");
	*call = (struct update_call){ done, user };
	r = ttrpc_client_call(
		&p->client, RUNTIME_SERVICE, "UpdateContainers", payload, on_updated, call, err);
	if (r == 0)
		TAKE(call);
	return r;
}
