// SPDX-License-Identifier: Apache-2.0
/* The kubelet's health streams, against an nghttp2 client in memory. */
#include "cluster/nodeplugin/health.h"

#include <malloc.h>

#include "cluster/nodeplugin/kubelet.h"
#include "cluster/nodeplugin/listen.h"
#include "cluster/wire/health_v1.pb-c.h"
#include "grpc_peer.h"

#define V1 "/v1.DRAResourceHealth/NodeWatchResources"
#define V1ALPHA1 "/v1alpha1.DRAResourceHealth/NodeWatchResources"
#define NOTHING ((struct bytes){ "\0\0\0\0\0", 5 }) /* an empty message, framed */
#define DEVICES 1000

static uv_loop_t loop;
static struct health health;
static struct facts facts;
static struct kubelet_owner owner = { .health = &health };

/* In the program it is the listener's; here every connection is of the one owner. */
void *listen_user(void *peer)
{
	return &owner;
}

static const struct grpc_method methods[] = {
	{ V1, true, health_on_start, health_on_cancelled, health_on_drained },
	{ V1ALPHA1, true, health_on_start, health_on_cancelled, health_on_drained },
};
static const struct grpc_service service = { methods, ARRAY_SIZE(methods), NULL };

static void begin(unsigned cpus)
{
	uv_loop_init(&loop);
	health_init(&health, &loop, "node1", &facts);
	facts = (struct facts){ .cpus = cpus, .pinned = true, .n_per_cpu = cpus };
	facts.per_cpu = calloc(cpus, sizeof(*facts.per_cpu));
	CHECK(facts.per_cpu);
	for (unsigned i = 0; i < cpus; i++)
		facts.per_cpu[i].cpu = i;
}

static void end(struct peer *p)
{
	peer_close(p);
	CHECK_EQ(health.n_streams, 0);
	CHECK(!uv_is_active((uv_handle_t *)&health.again));
	uv_close((uv_handle_t *)&health.again, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	CHECK_EQ(uv_loop_close(&loop), 0);
	facts_fini(&facts);
}

static void break_cpu(unsigned i, const char *why)
{
	facts.per_cpu[i].taint = (struct facts_taint){ .key = "cpus", .value = "offline" };
	snprintf(facts.per_cpu[i].taint.why, sizeof(facts.per_cpu[i].taint.why), "%s", why);
}

/* The message that begins at *at of the stream's body; moves *at past it. */
static V1__NodeWatchResourcesResponse *next_message(const struct reply *r, size_t *at)
{
	V1__NodeWatchResourcesResponse *message;
	size_t len = 0;

	CHECK(r->body_len >= *at + 5 && r->body[*at] == 0);
	for (int i = 1; i <= 4; i++)
		len = len << 8 | (uint8_t)r->body[*at + i];
	CHECK(r->body_len >= *at + 5 + len);
	message = v1__node_watch_resources_response__unpack(
		NULL, len, (const uint8_t *)r->body + *at + 5);
	CHECK(message);
	*at += 5 + len;
	return message;
}

static void drop(V1__NodeWatchResourcesResponse *message)
{
	v1__node_watch_resources_response__free_unpacked(message, NULL);
}

TEST(a_stream_begins_with_how_every_device_is)
{
	struct peer p = { 0 };
	V1__NodeWatchResourcesResponse *m;
	struct reply *r;
	size_t at = 0;

	begin(3);
	break_cpu(1, "CPU 1 is offline");
	CHECK_EQ(peer_open(&p, &service, 0), 0);
	r = peer_call(&p, V1ALPHA1, NOTHING);
	peer_pump(&p);
	m = next_message(r, &at);
	CHECK_EQ(at, r->body_len);
	CHECK_EQ(m->n_devices, 3);
	CHECK_TEXT(m->devices[1]->device->pool_name, "node1");
	CHECK_TEXT(m->devices[1]->device->device_name, "cpu1");
	CHECK_EQ(m->devices[0]->health, V1__HEALTH_STATUS__HEALTHY);
	CHECK_EQ(m->devices[1]->health, V1__HEALTH_STATUS__UNHEALTHY);
	CHECK_TEXT(m->devices[1]->message, "CPU 1 is offline");
	CHECK_EQ(m->devices[0]->health_check_timeout_seconds, HEALTH_TIMEOUT_S);
	CHECK(m->devices[0]->last_updated_time > 0);
	drop(m);
	end(&p);
}

TEST(every_stream_is_told_of_a_change)
{
	struct peer p = { 0 };
	struct reply *r[2];

	begin(2);
	CHECK_EQ(peer_open(&p, &service, 0), 0);
	r[0] = peer_call(&p, V1, NOTHING);
	r[1] = peer_call(&p, V1ALPHA1, NOTHING);
	peer_pump(&p);
	break_cpu(0, "gone");
	health_changed(&health);
	peer_pump(&p);
	for (int i = 0; i < 2; i++) {
		V1__NodeWatchResourcesResponse *first, *second;
		size_t at = 0;

		first = next_message(r[i], &at);
		second = next_message(r[i], &at);
		CHECK_EQ(at, r[i]->body_len);
		CHECK_EQ(first->devices[0]->health, V1__HEALTH_STATUS__HEALTHY);
		CHECK_EQ(second->devices[0]->health, V1__HEALTH_STATUS__UNHEALTHY);
		drop(first);
		drop(second);
	}
	end(&p);
}

TEST(a_slow_reader_of_a_thousand_devices_costs_a_message_and_gets_the_newest_whole)
{
	struct peer p = { 0 };
	struct reply *r;
	size_t before, given = 0, at = 0, n = 0;

	begin(DEVICES);
	CHECK_EQ(peer_open(&p, &service, 1024), 0);
	r = peer_call(&p, V1, NOTHING);
	peer_pump(&p);
	before = mallinfo2().uordblks;
	for (unsigned i = 0; i < DEVICES; i++) {
		break_cpu(i, "the CPU is offline");
		health_changed(&health);
		peer_pump(&p);
	}
	/* A thousand lists of some 60 KB each went nowhere. */
	CHECK(mallinfo2().uordblks < before + 256 * 1024);
	CHECK(r->body_len <= 1024);
	while (given < r->body_len) {
		size_t step = r->body_len - given;

		CHECK_EQ(nghttp2_session_consume(p.client, r->stream, step), 0);
		given += step;
		peer_pump(&p);
	}
	while (at < r->body_len) {
		V1__NodeWatchResourcesResponse *m = next_message(r, &at);

		CHECK_EQ(m->n_devices, DEVICES);
		if (at == r->body_len)
			for (unsigned i = 0; i < DEVICES; i++)
				CHECK_EQ(m->devices[i]->health, V1__HEALTH_STATUS__UNHEALTHY);
		drop(m);
		n++;
	}
	CHECK_EQ(n, 2);
	end(&p);
}

TEST(streams_that_are_too_many_are_refused_and_one_that_ends_makes_room)
{
	struct peer p = { 0 };
	struct reply *r[HEALTH_STREAMS_MAX + 1];

	begin(1);
	CHECK_EQ(peer_open(&p, &service, 0), 0);
	for (int i = 0; i <= HEALTH_STREAMS_MAX; i++)
		r[i] = peer_call(&p, V1, NOTHING);
	peer_pump(&p);
	CHECK_EQ(health.n_streams, HEALTH_STREAMS_MAX);
	CHECK(ended(r[HEALTH_STREAMS_MAX], GRPC_RESOURCE_EXHAUSTED));
	CHECK_EQ(nghttp2_submit_rst_stream(p.client, 0, r[3]->stream, NGHTTP2_CANCEL), 0);
	peer_pump(&p);
	CHECK_EQ(health.n_streams, HEALTH_STREAMS_MAX - 1);
	peer_call(&p, V1, NOTHING);
	peer_pump(&p);
	CHECK_EQ(health.n_streams, HEALTH_STREAMS_MAX);
	end(&p);
}

TEST(when_it_ends_streams_have_a_status_and_no_new_one_begins)
{
	struct peer p = { 0 };
	struct reply *first, *late;

	begin(1);
	CHECK_EQ(peer_open(&p, &service, 0), 0);
	first = peer_call(&p, V1, NOTHING);
	peer_pump(&p);
	health_end(&health);
	health_changed(&health);
	peer_pump(&p);
	CHECK(ended(first, GRPC_UNAVAILABLE));
	late = peer_call(&p, V1, NOTHING);
	peer_pump(&p);
	CHECK(ended(late, GRPC_UNAVAILABLE));
	CHECK_EQ(late->body_len, 0);
	end(&p);
}
