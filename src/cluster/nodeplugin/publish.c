// SPDX-License-Identifier: Apache-2.0
/*
 * The node's ResourceSlice: made from what taktd says, applied, and made again when somebody takes
 * it away, as the kubelet does when it starts and when no plugin was there for a while.
 */
#include "cluster/nodeplugin/nodeplugin.h"

#include <string.h>

#include "base/cleanup.h"
#include "cluster/dra/claim.h"
#include "cluster/dra/slice.h"
#include "cluster/kube/retry.h"
#include "cluster/nodeplugin/door.h"
#include "cluster/nodeplugin/report.h"

#define MANAGER "takt-dra"
#define AGAIN_MS 300 /* after it was taken away: kubelets delete in a burst */

static void publish(struct plugin *p);

static void on_timer(uv_timer_t *timer)
{
	publish(container_of(timer, struct plugin, publish_timer));
}

static void publish_in(struct plugin *p, uint64_t ms)
{
	if (p->publishing)
		p->publish_again = true;
	else
		uv_timer_start(&p->publish_timer, on_timer, ms, 0);
}

static void ended(struct plugin *p)
{
	p->publishing = false;
	json_decref(TAKE(p->list));
	json_decref(TAKE(p->wanted));
}

static void failed(struct plugin *p, const char *why)
{
	uint64_t wait = kube_backoff_ms(p->publish_failures++, uv_hrtime());

	ended(p);
	plugin_log("what this node can promise is not published: %s; again in %u ms", why,
		(unsigned)wait);
	uv_timer_start(&p->publish_timer, on_timer, wait, 0);
}

static void on_applied(void *data, const struct kube_answer *answer)
{
	struct plugin *p = data;
	const char *dropped;

	if (answer->code < 0) {
		failed(p, answer->err.text);
		return;
	}
	dropped = slice_dropped(p->wanted, answer->object);
	if (dropped && !p->told_dropped)
		plugin_log("the API server dropped %s of device %s: switch on the feature gate "
			   "DRAConsumableCapacity, or use Kubernetes 1.36 or newer",
			dropped, CLAIM_DEVICE_SHARED);
	p->told_dropped = dropped;
	p->publish_failures = 0;
	ended(p);
	if (p->publish_again) {
		p->publish_again = false;
		publish_in(p, AGAIN_MS);
	}
}

static void apply(struct plugin *p, const json_t *node)
{
	struct kube_ref ref = { { "resource.k8s.io", "v1", "resourceslices" } };
	struct slice_facts facts;
	struct err err = ERR_NULL;

	if (slice_facts_read(p->list, node, &facts, &err) < 0) {
		failed(p, err.text);
		return;
	}
	p->wanted = slice_make(&facts, p->node, p->node_uid);
	ref.name =
		json_string_value(json_object_get(json_object_get(p->wanted, "metadata"), "name"));
	if (!p->wanted)
		failed(p, "out of memory");
	else if (kube_apply(p->kube, &ref, p->wanted, MANAGER, true, on_applied, p, NULL, &err) < 0)
		failed(p, err.text);
}

static void on_node_info(void *data, int code, const json_t *reply, const char *error)
{
	if (code < 0)
		failed(data, error);
	else
		apply(data, reply);
}

static void on_list(void *data, int code, const json_t *reply, const char *error)
{
	struct plugin *p = data;

	if (code < 0) {
		failed(p, error);
		return;
	}
	p->list = json_incref((json_t *)reply);
	report_look(p, json_object_get(reply, "reservations"));
	if (door_call(p->door, "rt.takt.Node", json_object(), on_node_info, p) < 0)
		failed(p, "out of memory");
}

static void ask_taktd(struct plugin *p)
{
	if (door_call(p->door, "rt.takt.List", json_object(), on_list, p) < 0)
		failed(p, "out of memory");
}

static void on_node(void *data, const struct kube_answer *answer)
{
	struct plugin *p = data;
	const char *uid = json_string_value(
		json_object_get(json_object_get(answer->object, "metadata"), "uid"));

	if (answer->code < 0 || !uid) {
		failed(p, answer->code < 0 ? answer->err.text : "the node has no uid");
		return;
	}
	snprintf(p->node_uid, sizeof(p->node_uid), "%s", uid);
	ask_taktd(p);
}

static void publish(struct plugin *p)
{
	struct kube_ref ref = { { NULL, "v1", "nodes" }, NULL, p->node, NULL };
	struct err err = ERR_NULL;

	p->publishing = true;
	if (p->node_uid[0])
		ask_taktd(p);
	else if (kube_get(p->kube, &ref, on_node, p, NULL, &err) < 0)
		failed(p, err.text);
}

/* Our own change, or somebody else's: applying it again changes nothing where it is right. */
static void on_deleted(void *data, const struct kube_gone *gone, json_t *last)
{
	struct plugin *p = data;

	if (p->registered)
		publish_in(p, AGAIN_MS);
}

static void on_there(void *data, json_t *object)
{
}

static void on_synced(void *data)
{
}

static void on_trouble(void *data, const struct err *why, uint64_t retry_ms)
{
	plugin_log("watching our slices: %s; again in %u ms", why->text, (unsigned)retry_ms);
}

int publish_start(struct plugin *p, struct err *err)
{
	static const struct kube_watch_handler handler = { on_there, on_there, on_deleted,
		on_synced, on_trouble };
	const struct kube_ref ref = { { "resource.k8s.io", "v1", "resourceslices" } };
	char selector[PLUGIN_PATH_MAX + 64];
	struct kube_watch_options options = { .field_selector = selector };

	snprintf(selector, sizeof(selector), "spec.driver=" CLAIM_DRIVER ",spec.nodeName=%s",
		p->node);
	uv_timer_init(&p->loop, &p->publish_timer);
	return kube_watch_start(&p->slices, p->kube, &ref, &options, &handler, p, err);
}

void publish_registered(struct plugin *p)
{
	p->registered = true;
	publish_in(p, 0);
}

void publish_stop(struct plugin *p)
{
	kube_watch_stop(p->slices);
	ended(p);
}
