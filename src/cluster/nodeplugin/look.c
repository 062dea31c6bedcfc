// SPDX-License-Identifier: Apache-2.0
/*
 * taktd's changes say when to ask; its answers say what there is. Where it cannot be asked for a
 * while, what it said last stays, with a taint: claims that are promised are still kept by the
 * kernel.
 */
#include "cluster/nodeplugin/nodeplugin.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cluster/nodeplugin/door.h"
#include "cluster/nodeplugin/report.h"
#include "core/model/units.h"

#define SOON_MS 200 /* changes come in bursts */
#define GAP_MS 500 /* between two questions */
#define SLOW_MS 30000 /* nothing was told */
#define LOST_MS 1000 /* while it cannot be asked */
#define GRACE_MS 5000 /* taktd starts anew in less */

static void on_timer(uv_timer_t *timer);

/* Never later than was said before. */
static void look_in(struct plugin *p, uint64_t ms)
{
	struct look *l = &p->look;
	uint64_t since_ms = (uv_hrtime() - l->done_ns) / NSEC_PER_MSEC;

	if (l->asking) {
		l->again = true;
		return;
	}
	if (l->done_ns && since_ms + ms < GAP_MS)
		ms = GAP_MS - since_ms;
	if (!uv_is_active((uv_handle_t *)&l->timer) || uv_timer_get_due_in(&l->timer) > ms)
		uv_timer_start(&l->timer, on_timer, ms, 0);
}

static void ended(struct plugin *p, uint64_t next_ms)
{
	struct look *l = &p->look;

	json_decref(TAKE(l->list));
	l->asking = false;
	l->done_ns = uv_hrtime();
	malloc_trim(0); /* what many pods at once needed */
	if (l->again)
		next_ms = SOON_MS;
	l->again = false;
	look_in(p, next_ms);
}

static void failed(struct plugin *p, const char *why)
{
	struct look *l = &p->look;

	if (!l->lost_ns) {
		plugin_log("taktd cannot be asked what this node can promise: %s", why);
		l->lost_ns = l->asked_ns;
	}
	if (!l->told_lost && uv_hrtime() - l->lost_ns >= GRACE_MS * NSEC_PER_MSEC) {
		l->told_lost = true;
		if (l->known)
			facts_set_unreachable(&l->facts, why);
		publish_changed(p);
		health_changed(&p->health);
	}
	ended(p, LOST_MS);
}

static bool same_trouble(const struct facts *a, const struct facts *b)
{
	if (facts_n_devices(a) != facts_n_devices(b))
		return false;
	for (size_t i = 0; i < facts_n_devices(a); i++) {
		const struct facts_taint *x = facts_trouble(a, i), *y = facts_trouble(b, i);
		char m[FACTS_DEVICE_NAME_MAX], n[FACTS_DEVICE_NAME_MAX];

		facts_device_name(a, i, m);
		facts_device_name(b, i, n);
		if (strcmp(m, n) != 0 || strcmp(x ? x->why : "", y ? y->why : "") != 0)
			return false;
	}
	return true;
}

static void on_node(void *data, int code, const json_t *reply, const char *error)
{
	struct plugin *p = data;
	struct look *l = &p->look;
	struct facts before = l->facts;
	struct err err = ERR_NULL;

	if (l->stopped)
		return;
	if (code < 0 || facts_read(l->list, reply, l->max_utilisation_ppm, &l->facts, &err) < 0) {
		failed(p, code < 0 ? error : err.text);
		return;
	}
	if (l->lost_ns)
		plugin_log("taktd can be asked again");
	l->lost_ns = 0;
	l->told_lost = false;
	publish_changed(p);
	if (!l->known || !same_trouble(&before, &l->facts))
		health_changed(&p->health);
	l->known = true;
	facts_fini(&before);
	ended(p, SLOW_MS);
}

static void ask(struct plugin *p, const char *method, door_done *done)
{
	if (door_call(p->door, method, json_object(), done, p) < 0)
		failed(p, "out of memory");
}

static void on_list(void *data, int code, const json_t *reply, const char *error)
{
	struct plugin *p = data;

	if (p->look.stopped)
		return;
	if (code < 0) {
		failed(p, error);
		return;
	}
	p->look.list = json_incref((json_t *)reply);
	report_look(p, json_object_get(reply, "reservations"));
	ask(p, "rt.takt.Node", on_node);
}

static void on_timer(uv_timer_t *timer)
{
	struct plugin *p = container_of(timer, struct plugin, look.timer);

	p->look.asking = true;
	p->look.asked_ns = uv_hrtime();
	ask(p, "rt.takt.List", on_list);
}

static void on_began(void *data)
{
	look_in(data, 0);
	checks_changed(data); /* a taktd that has begun anew knows nothing of it */
}

static void on_changed(void *data, const char *what)
{
	static const char *const of_room[] = { "reserved", "released", "trouble", "machine" };

	for (size_t i = 0; i < ARRAY_SIZE(of_room); i++)
		if (strcmp(of_room[i], what) == 0)
			look_in(data, SOON_MS);
}

static void on_lost(void *data, const char *why)
{
	look_in(data, LOST_MS);
}

int look_start(struct plugin *p, struct err *err)
{
	static const struct feed_handler handler = { on_began, on_changed, on_lost };

	look_in(p, 0);
	return feed_start(&p->look.feed, &p->loop, p->socket, &handler, p, err);
}

/* What is asked may still be answered. */
void look_stop(struct plugin *p)
{
	p->look.stopped = true;
	feed_stop(TAKE(p->look.feed));
	json_decref(TAKE(p->look.list));
	uv_timer_stop(&p->look.timer);
}
