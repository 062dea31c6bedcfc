// SPDX-License-Identifier: Apache-2.0
/*
 * Prepare: the claim as the API server has it, then a Reserve for each of its devices; taktd's
 * answer means that the promise is on disk and its CDI file is there. Unprepare: Release of all that
 * was reserved for the claim's uid, which needs no claim object. Both may come again at any time.
 */
#include "cluster/nodeplugin/nodeplugin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cluster/dra/claim.h"
#include "cluster/nodeplugin/door.h"
#include "core/document/document.h"

/* One claim on its way. */
struct errand {
	struct plugin *plugin;
	struct kubelet_task *task;
	json_t *object;
	struct claim claim;
	size_t at; /* the result that is being reserved */
	json_t *names; /* unprepare: what is still to be released */
};

static void errand_free(struct errand *e)
{
	claim_fini(&e->claim);
	json_decref(e->object);
	json_decref(e->names);
	free(e);
}

static void end(struct errand *e, const char *error)
{
	if (error)
		plugin_log("claim %s/%s: %s", kubelet_task_namespace(e->task),
			kubelet_task_name(e->task), error);
	kubelet_done(e->task, error);
	errand_free(e);
}

static void reserve_next(struct errand *e);

static void add_device(struct errand *e, const char *cdi)
{
	const struct claim_result *r = &e->claim.results[e->at];
	struct kubelet_device d = { r->request, r->pool, r->device, r->share_id, cdi };

	if (!cdi || kubelet_add_device(e->task, &d) < 0) {
		end(e, "takt-dra is out of memory");
		return;
	}
	e->at++;
	reserve_next(e);
}

static void on_reserved(void *data, int code, const json_t *reply, const char *error)
{
	struct errand *e = data;

	if (code < 0)
		end(e, error);
	else
		add_device(e, json_string_value(json_object_get(reply, "device")));
}

static void reserve_next(struct errand *e)
{
	json_t *document;

	if (e->at == e->claim.n) {
		end(e, NULL);
		return;
	}
	document = document_to_json(&e->claim.results[e->at].resv);
	if (!document || door_call(&e->plugin->loop, e->plugin->socket, "rt.takt.Reserve",
				 json_pack("{s:o}", "document", document), on_reserved, e) < 0)
		end(e, "takt-dra is out of memory");
}

static void on_claim(void *data, const struct kube_answer *answer)
{
	struct errand *e = data;
	struct err err = ERR_NULL;

	if (answer->code < 0) {
		end(e, answer->err.text);
		return;
	}
	e->object = json_incref(answer->object);
	if (claim_read(e->object, kubelet_task_uid(e->task), &e->claim, &err) < 0)
		end(e, err.text);
	else
		reserve_next(e);
}

static struct errand *errand_create(void *user, struct kubelet_task *task)
{
	struct errand *e = calloc(1, sizeof(*e));

	if (!e) {
		kubelet_done(task, "takt-dra is out of memory");
		return NULL;
	}
	e->plugin = user;
	e->task = task;
	return e;
}

static void on_prepare(void *user, struct kubelet_task *task)
{
	struct errand *e = errand_create(user, task);
	struct kube_ref ref = { { "resource.k8s.io", "v1", "resourceclaims" },
		kubelet_task_namespace(task), kubelet_task_name(task), NULL };
	struct err err = ERR_NULL;

	if (e && kube_get(e->plugin->kube, &ref, on_claim, e, NULL, &err) < 0)
		end(e, err.text);
}

static void release_next(struct errand *e);

/* What is not there any more was released before. */
static void on_released(void *data, int code, const json_t *reply, const char *error)
{
	struct errand *e = data;

	if (code < 0 && code != -ESRCH)
		end(e, error);
	else
		release_next(e);
}

static void release_next(struct errand *e)
{
	size_t n = json_array_size(e->names);
	json_t *parameters;

	if (n == 0) {
		end(e, NULL);
		return;
	}
	parameters = json_pack("{s:O}", "name", json_array_get(e->names, n - 1));
	json_array_remove(e->names, n - 1);
	if (!parameters || door_call(&e->plugin->loop, e->plugin->socket, "rt.takt.Release",
				   parameters, on_released, e) < 0)
		end(e, "takt-dra is out of memory");
}

static void on_listed(void *data, int code, const json_t *reply, const char *error)
{
	struct errand *e = data;
	const json_t *resv;
	size_t i;

	if (code < 0) {
		end(e, error);
		return;
	}
	e->names = json_array();
	json_array_foreach (json_object_get(reply, "reservations"), i, resv) {
		json_t *name = json_object_get(resv, "name");

		if (claim_owns(json_string_value(name), kubelet_task_uid(e->task)))
			json_array_append(e->names, name);
	}
	release_next(e);
}

static void on_unprepare(void *user, struct kubelet_task *task)
{
	struct errand *e = errand_create(user, task);

	if (e && door_call(&e->plugin->loop, e->plugin->socket, "rt.takt.List", json_object(),
			 on_listed, e) < 0)
		end(e, "takt-dra is out of memory");
}

static void on_registered(void *user, const char *why)
{
	if (why) {
		plugin_log("the kubelet does not take us: %s", why);
		return;
	}
	plugin_log("registered with the kubelet");
	publish_registered(user);
}

const struct kubelet_handler prepare_handler = { on_prepare, on_unprepare, on_registered };
