// SPDX-License-Identifier: Apache-2.0
/*
 * The node's ResourceSlices: what is stored is watched, held against what is wanted, and made so.
 * The kubelet takes them all away when it starts and when no plugin was there for a while; others
 * may change them: both come here as events of the watch.
 */
#include "cluster/nodeplugin/nodeplugin.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

#include "base/cleanup.h"
#include "cluster/dra/claim.h"
#include "cluster/kube/retry.h"

#define MANAGER "takt-dra"
#define AGAIN_MS 300 /* after it was taken away: kubelets delete in a burst */
#define TURN_MS 500 /* another look whether the takt-dra before us has ended */

static void on_timer(uv_timer_t *timer);
static void next_step(struct plugin *p);

/* Never later than was said before, and after a failure no sooner. */
static void sync_in(struct plugin *p, uint64_t ms)
{
	struct publish *b = &p->publish;
	bool waits = uv_is_active((uv_handle_t *)&b->timer);

	if (b->busy)
		b->again = true;
	else if (!waits || (!b->failures && uv_timer_get_due_in(&b->timer) > ms))
		uv_timer_start(&b->timer, on_timer, ms, 0);
}

static void ended(struct plugin *p)
{
	slice_plan_fini(&p->publish.plan);
	p->publish.busy = false;
}

static void failed(struct plugin *p, const char *why)
{
	uint64_t wait = kube_backoff_ms(p->publish.failures++, uv_hrtime());

	ended(p);
	plugin_log("what this node can promise is not published: %s; again in %u ms", why,
		(unsigned)wait);
	sync_in(p, wait);
}

static void tell_dropped(struct plugin *p, unsigned dropped)
{
	static const struct {
		enum slice_drop bit;
		const char *text;
	} rows[] = {
		{ SLICE_DROP_CAPACITY,
			"allowMultipleAllocations or requestPolicy: switch on the feature gate "
			"DRAConsumableCapacity, or use Kubernetes 1.36 or newer; without it one "
			"claim takes a whole device" },
		{ SLICE_DROP_TAINTS,
			"taints: switch on the feature gate DRADeviceTaints, or use Kubernetes 1.36 "
			"or newer; without it the scheduler uses devices that are broken" },
		{ SLICE_DROP_OTHER, "fields that this takt-dra writes: is it newer than that?" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (dropped & ~p->publish.told & rows[i].bit)
			plugin_log("the API server does not keep %s", rows[i].text);
	p->publish.told |= dropped;
	p->publish.dropped |= dropped;
}

static void store(struct plugin *p, json_t *object)
{
	const char *name =
		json_string_value(json_object_get(json_object_get(object, "metadata"), "name"));

	if (name)
		json_object_set(p->publish.stored, name, object);
}

static void on_applied(void *data, const struct kube_answer *answer)
{
	struct plugin *p = data;
	struct publish *b = &p->publish;
	unsigned dropped;

	/* Effect None is new in 1.35; before, a server whose gate keeps taints refuses the slice. */
	if (answer->code == -EINVAL && !b->refuses_informing &&
		strstr(answer->err.text, "effect")) {
		b->refuses_informing = true;
		plugin_log("the API server takes no taint that only informs: %s", answer->err.text);
		ended(p);
		sync_in(p, 0);
		return;
	}
	if (answer->code < 0) {
		failed(p, answer->err.text);
		return;
	}
	/* What is otherwise than we wrote, somebody else has written since: the watch tells it. */
	slice_kept(json_array_get(b->plan.apply, b->at - json_array_size(b->plan.remove)),
		answer->object, &dropped);
	tell_dropped(p, dropped);
	store(p, answer->object);
	b->at++;
	next_step(p);
}

static void on_removed(void *data, const struct kube_answer *answer)
{
	struct plugin *p = data;
	struct publish *b = &p->publish;

	if (answer->code < 0 && answer->code != -ENOENT) {
		failed(p, answer->err.text);
		return;
	}
	json_object_del(b->stored, json_string_value(json_array_get(b->plan.remove, b->at)));
	b->at++;
	next_step(p);
}

static void finish(struct plugin *p)
{
	p->publish.failures = 0;
	ended(p);
	if (p->publish.again) {
		p->publish.again = false;
		sync_in(p, AGAIN_MS);
	}
}

static void next_step(struct plugin *p)
{
	struct publish *b = &p->publish;
	struct kube_ref ref = { { "resource.k8s.io", "v1", "resourceslices" } };
	size_t n = json_array_size(b->plan.remove);
	const json_t *slice = b->at < n ? NULL : json_array_get(b->plan.apply, b->at - n);
	struct err err = ERR_NULL;
	int r;

	if (b->at < n) {
		ref.name = json_string_value(json_array_get(b->plan.remove, b->at));
		r = kube_delete(p->kube, &ref, NULL, NULL, on_removed, p, NULL, &err);
	} else if (slice) {
		ref.name = json_string_value(
			json_object_get(json_object_get(slice, "metadata"), "name"));
		r = kube_apply(p->kube, &ref, slice, MANAGER, true, on_applied, p, NULL, &err);
	} else {
		finish(p);
		return;
	}
	if (r < 0)
		failed(p, err.text);
}

static void make_plan(struct plugin *p)
{
	struct publish *b = &p->publish;
	cleanup_json json_t *devices =
		p->look.known ? slice_devices(&p->look.facts, !b->refuses_informing)
			      : slice_lost_devices(b->stored, p->node);

	if (!devices || slice_plan(devices, p->node, b->node_uid, b->stored, b->dropped,
				b->generation, &b->plan) < 0) {
		failed(p, "out of memory");
		return;
	}
	b->generation = b->plan.generation;
	b->at = 0;
	next_step(p);
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
	snprintf(p->publish.node_uid, sizeof(p->publish.node_uid), "%s", uid);
	make_plan(p);
}

/*
 * In a rolling update two are there, maybe of different versions or options. One publishes, so that
 * they do not write against each other: the one that was there first, until it ends, and with it
 * its lock (flock(2)). What it has written stays.
 */
static bool takes_turn(struct plugin *p)
{
	struct publish *b = &p->publish;

	if (b->has_turn)
		return true;
	if (b->turn_fd < 0)
		b->turn_fd = open(p->sockets.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	b->has_turn =
		b->turn_fd < 0 || flock(b->turn_fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
	if (b->has_turn)
		sockets_sweep(&p->sockets); /* of the one before, if it was killed */
	else if (!b->waits_for_turn)
		plugin_log("another takt-dra publishes what this node can promise, until it ends");
	b->waits_for_turn = !b->has_turn;
	return b->has_turn;
}

static void on_timer(uv_timer_t *timer)
{
	struct plugin *p = container_of(timer, struct plugin, publish.timer);
	struct kube_ref ref = { { NULL, "v1", "nodes" }, NULL, p->node, NULL };
	struct publish *b = &p->publish;
	struct err err = ERR_NULL;

	if (!b->registered || !b->synced || (!p->look.known && !p->look.told_lost))
		return; /* each of them comes here again */
	if (!takes_turn(p)) {
		sync_in(p, TURN_MS);
		return;
	}
	b->busy = true;
	if (b->node_uid[0])
		make_plan(p);
	else if (kube_get(p->kube, &ref, on_node, p, NULL, &err) < 0)
		failed(p, err.text);
}

static void on_there(void *data, json_t *object)
{
	struct plugin *p = data;

	store(p, object);
	sync_in(p, AGAIN_MS);
}

static void on_deleted(void *data, const struct kube_gone *gone, json_t *last)
{
	struct plugin *p = data;

	json_object_del(p->publish.stored, gone->name);
	/* It may have gone with its Node, and the next one has another uid. */
	p->publish.node_uid[0] = '\0';
	sync_in(p, AGAIN_MS);
}

/* The server may be another one now, with other gates: what it keeps is found anew. */
static void on_synced(void *data)
{
	struct plugin *p = data;

	p->publish.synced = true;
	p->publish.dropped = SLICE_DROP_NONE;
	p->publish.refuses_informing = false;
	sync_in(p, 0);
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

	p->publish.stored = json_object();
	if (!p->publish.stored)
		return err_set(err, -ENOMEM, "out of memory");
	snprintf(selector, sizeof(selector), "spec.driver=" CLAIM_DRIVER ",spec.nodeName=%s",
		p->node);
	return kube_watch_start(&p->publish.watch, p->kube, &ref, &options, &handler, p, err);
}

void publish_registered(struct plugin *p)
{
	p->publish.registered = true;
	sync_in(p, 0);
}

void publish_changed(struct plugin *p)
{
	sync_in(p, 0);
}

void publish_stop(struct plugin *p)
{
	kube_watch_stop(p->publish.watch);
	uv_timer_stop(&p->publish.timer);
	ended(p);
	json_decref(TAKE(p->publish.stored));
	if (p->publish.turn_fd >= 0)
		close(TAKE_FD(p->publish.turn_fd));
}
