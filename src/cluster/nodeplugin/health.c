// SPDX-License-Identifier: Apache-2.0
/*
 * A stream that does not read costs one message: what happens meanwhile is packed when there is
 * room again, as it is then.
 */
#include "cluster/nodeplugin/health.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "cluster/nodeplugin/kubelet.h"
#include "cluster/nodeplugin/listen.h"
#include "cluster/wire/health_v1.pb-c.h"

struct health_stream {
	struct health *health;
	struct grpc_call *call;
	struct health_stream *next;
	bool behind; /* has not been told what is now */
};

/* One device's messages and their text. */
struct line {
	V1__DeviceHealth health;
	V1__DeviceIdentifier id;
	char name[FACTS_DEVICE_NAME_MAX];
};

static void fill(struct line *l, const struct health *h, size_t i)
{
	const struct facts_taint *trouble = facts_trouble(h->facts, i);

	facts_device_name(h->facts, i, l->name);
	v1__device_identifier__init(&l->id);
	l->id.pool_name = (char *)h->pool;
	l->id.device_name = l->name;
	v1__device_health__init(&l->health);
	l->health.device = &l->id;
	l->health.health = trouble ? V1__HEALTH_STATUS__UNHEALTHY : V1__HEALTH_STATUS__HEALTHY;
	l->health.last_updated_time = time(NULL);
	l->health.health_check_timeout_seconds = HEALTH_TIMEOUT_S;
	l->health.message = trouble ? (char *)trouble->why : "";
	static_assert(FACTS_WHY_MAX <= HEALTH_MESSAGE_MAX, "the kubelet cuts longer ones");
}

/* The whole list; the caller's to free(). NULL: out of memory. */
static uint8_t *pack(const struct health *h, size_t *ret_len)
{
	V1__NodeWatchResourcesResponse message = V1__NODE_WATCH_RESOURCES_RESPONSE__INIT;
	size_t n = facts_n_devices(h->facts);
	cleanup_free struct line *lines = calloc(n + 1, sizeof(*lines));
	cleanup_free V1__DeviceHealth **list = calloc(n + 1, sizeof(*list));
	uint8_t *bytes;

	if (!lines || !list)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		fill(&lines[i], h, i);
		list[i] = &lines[i].health;
	}
	message.devices = list;
	message.n_devices = n;
	*ret_len = v1__node_watch_resources_response__get_packed_size(&message);
	bytes = malloc(*ret_len + 1);
	if (bytes)
		v1__node_watch_resources_response__pack(&message, bytes);
	return bytes;
}

/* What cannot be sent now goes when the stream has read, or with the next round. */
static void send_to(struct health_stream *first, bool all)
{
	size_t len = 0;
	cleanup_free uint8_t *bytes = first ? pack(first->health, &len) : NULL;

	for (struct health_stream *s = first; s; s = all ? s->next : NULL)
		s->behind =
			!bytes || grpc_call_send(s->call, (struct bytes){ (char *)bytes, len }) < 0;
}

static void on_again(uv_timer_t *timer)
{
	send_to(container_of(timer, struct health, again)->streams, true);
}

void health_init(struct health *h, uv_loop_t *loop, const char *pool, const struct facts *facts)
{
	*h = (struct health){ .pool = pool, .facts = facts };
	uv_timer_init(loop, &h->again);
}

void health_changed(struct health *h)
{
	send_to(h->streams, true);
}

static void forget(struct health_stream *s)
{
	struct health *h = s->health;

	for (struct health_stream **at = &h->streams; *at; at = &(*at)->next)
		if (*at == s) {
			*at = s->next;
			break;
		}
	if (--h->n_streams == 0)
		uv_timer_stop(&h->again);
	free(s);
}

void health_end(struct health *h)
{
	h->ended = true;
	while (h->streams) {
		struct grpc_call *call = h->streams->call;

		grpc_call_set_data(call, NULL);
		forget(h->streams);
		grpc_call_finish(call, GRPC_UNAVAILABLE, "takt-dra ends");
	}
}

void health_on_start(struct grpc_call *call, const struct grpc_request *request, void *user)
{
	struct kubelet_owner *owner = listen_user(user);
	struct health *h = owner->health;
	struct health_stream *s =
		h->ended || h->n_streams == HEALTH_STREAMS_MAX ? NULL : calloc(1, sizeof(*s));

	if (!s) {
		grpc_call_finish(call, h->ended ? GRPC_UNAVAILABLE : GRPC_RESOURCE_EXHAUSTED,
			h->ended ? "takt-dra ends" : "there are too many health streams");
		return;
	}
	*s = (struct health_stream){ .health = h, .call = call, .next = h->streams };
	h->streams = s;
	if (h->n_streams++ == 0)
		uv_timer_start(&h->again, on_again, HEALTH_AGAIN_MS, HEALTH_AGAIN_MS);
	grpc_call_set_data(call, s);
	send_to(s, false);
}

void health_on_cancelled(struct grpc_call *call)
{
	struct health_stream *s = grpc_call_data(call);

	if (s)
		forget(s);
}

void health_on_drained(struct grpc_call *call)
{
	struct health_stream *s = grpc_call_data(call);

	if (s && s->behind)
		send_to(s, false);
}
