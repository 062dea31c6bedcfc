// SPDX-License-Identifier: Apache-2.0
/*
 * A small plugin for the Go client in grpc/: the kubelet's services with made-up answers, and
 * test.Echo, on one unix socket: grpc_server SOCKET. SIGTERM: finishes what was begun and ends.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/cleanup.h"
#include "cluster/wire/grpc.h"
#include "cluster/wire/dra_v1.pb-c.h"
#include "cluster/wire/health_v1.pb-c.h"
#include "cluster/wire/registration.pb-c.h"

#define PEERS_MAX 16
#define HELD_MAX 128
#define DEVICES 1000
#define READ_BYTES (64 * 1024)
#define LAST_WORDS_MS 300

struct peer {
	uv_pipe_t pipe;
	uv_idle_t flush;
	uv_write_t write;
	struct grpc_conn *conn;
	bool writing, closing;
	int open_handles;
	char in[READ_BYTES];
};

static uv_loop_t loop;
static uv_pipe_t listener;
static uv_signal_t sigterm;
static uv_timer_t last_words;
static struct peer *peers[PEERS_MAX];
static struct grpc_call *held[HELD_MAX];

static void die(const char *what)
{
	fprintf(stderr, "grpc_server: %s\n", what);
	exit(70);
}

static void on_closed(uv_handle_t *handle)
{
	struct peer *p = handle->data;

	if (--p->open_handles == 0)
		free(p);
}

static void peer_close(struct peer *p)
{
	if (p->closing)
		return;
	p->closing = true;
	for (int i = 0; i < PEERS_MAX; i++)
		if (peers[i] == p)
			peers[i] = NULL;
	grpc_conn_destroy(TAKE(p->conn));
	uv_close((uv_handle_t *)&p->pipe, on_closed);
	uv_close((uv_handle_t *)&p->flush, on_closed);
}

static void peer_flush(struct peer *p);

static void on_written(uv_write_t *write, int status)
{
	struct peer *p = write->data;

	p->writing = false;
	if (status < 0)
		peer_close(p);
	else if (!p->closing)
		peer_flush(p);
}

static void peer_flush(struct peer *p)
{
	struct err err = ERR_NULL;
	struct bytes out;
	uv_buf_t buf;
	int r;

	if (p->writing)
		return;
	r = grpc_conn_send(p->conn, &out, &err);
	if (r < 0)
		fprintf(stderr, "grpc_server: %s\n", err.text);
	if (r < 0 || (r == 0 && !grpc_conn_want_read(p->conn) && !grpc_conn_want_write(p->conn)))
		peer_close(p);
	if (r <= 0)
		return;
	buf = uv_buf_init((char *)out.at, out.len);
	p->write.data = p;
	p->writing = true;
	if (uv_write(&p->write, (uv_stream_t *)&p->pipe, &buf, 1, on_written) < 0)
		peer_close(p);
}

static void on_idle(uv_idle_t *idle)
{
	uv_idle_stop(idle);
	peer_flush(idle->data);
}

static void wake(void *user)
{
	struct peer *p = user;

	uv_idle_start(&p->flush, on_idle);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
	struct peer *p = handle->data;

	*ret = uv_buf_init(p->in, sizeof(p->in));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct peer *p = stream->data;
	struct err err = ERR_NULL;

	if (n < 0) {
		peer_close(p);
		return;
	}
	if (grpc_conn_receive(p->conn, (struct bytes){ buf->base, n }, &err) < 0)
		fprintf(stderr, "grpc_server: %s\n", err.text);
	peer_flush(p);
}

static void hold(struct grpc_call *call, const struct grpc_request *request, void *user)
{
	for (int i = 0; i < HELD_MAX; i++)
		if (!held[i]) {
			held[i] = call;
			return;
		}
	die("too many calls held");
}

static void forget(struct grpc_call *call)
{
	for (int i = 0; i < HELD_MAX; i++)
		if (held[i] == call)
			held[i] = NULL;
}

static void say(struct grpc_call *call, const struct grpc_request *request, void *user)
{
	grpc_call_reply(call, request->message);
}

/* How many calls are held: the client sees so what was told of its cancelled ones. */
static void count(struct grpc_call *call, const struct grpc_request *request, void *user)
{
	char number = 0;

	for (int i = 0; i < HELD_MAX; i++)
		number += held[i] != NULL;
	grpc_call_reply(call, (struct bytes){ &number, 1 });
}

static void fail(struct grpc_call *call, const struct grpc_request *request, void *user)
{
	grpc_call_finish(
		call, GRPC_FAILED_PRECONDITION, "9 ms asked, 0.85 CPU free: 85 %\nreally \u00bd");
}

static void too_long(struct grpc_call *call, const struct grpc_request *request, void *user)
{
	cleanup_free char *text = calloc(1, GRPC_REPLY_MAX_BYTES + 1);

	if (!text)
		die("out of memory");
	grpc_call_reply(
		call, (struct bytes){ text, GRPC_REPLY_MAX_BYTES + (request->message.len > 0) });
}

/* Packs and answers. */
static void reply_packed(struct grpc_call *call, const ProtobufCMessage *message)
{
	size_t len = protobuf_c_message_get_packed_size(message);
	cleanup_free uint8_t *text = malloc(len + 1);

	if (!text)
		die("out of memory");
	protobuf_c_message_pack(message, text);
	grpc_call_reply(call, (struct bytes){ (char *)text, len });
}

static void get_info(struct grpc_call *call, const struct grpc_request *request, void *user)
{
	char *versions[] = { "v1.DRAPlugin", "v1beta1.DRAPlugin", "v1alpha1.DRAResourceHealth" };
	Pluginregistration__PluginInfo info = PLUGINREGISTRATION__PLUGIN_INFO__INIT;

	info.type = "DRAPlugin";
	info.name = "rt.takt.dev";
	info.endpoint = "/dra.sock";
	info.n_supported_versions = ARRAY_SIZE(versions);
	info.supported_versions = versions;
	reply_packed(call, &info.base);
}

static void notify(struct grpc_call *call, const struct grpc_request *request, void *user)
{
	Pluginregistration__RegistrationStatusResponse response =
		PLUGINREGISTRATION__REGISTRATION_STATUS_RESPONSE__INIT;
	Pluginregistration__RegistrationStatus *status =
		pluginregistration__registration_status__unpack(
			NULL, request->message.len, (const uint8_t *)request->message.at);
	bool expected;

	if (!status) {
		grpc_call_finish(call, GRPC_INTERNAL, "not a RegistrationStatus");
		return;
	}
	expected = status->plugin_registered && strcmp(status->error, "none") == 0;
	pluginregistration__registration_status__free_unpacked(status, NULL);
	if (expected)
		reply_packed(call, &response.base);
	else
		grpc_call_finish(call, GRPC_INVALID_ARGUMENT, "another status was expected");
}

typedef K8s__Io__Kubelet__Pkg__Apis__Dra__V1__Device dra_device;
typedef K8s__Io__Kubelet__Pkg__Apis__Dra__V1__NodePrepareResourcesRequest prepare_request;
typedef K8s__Io__Kubelet__Pkg__Apis__Dra__V1__NodePrepareResourceResponse prepare_answer;
typedef K8s__Io__Kubelet__Pkg__Apis__Dra__V1__NodePrepareResourcesResponse prepare_response;
typedef K8s__Io__Kubelet__Pkg__Apis__Dra__V1__NodePrepareResourcesResponse__ClaimsEntry
	prepare_entry;

#define CLAIMS_MAX 128

static prepare_request *read_claims(struct grpc_call *call, const struct grpc_request *request)
{
	prepare_request *claims =
		k8s__io__kubelet__pkg__apis__dra__v1__node_prepare_resources_request__unpack(
			NULL, request->message.len, (const uint8_t *)request->message.at);

	if (!claims)
		grpc_call_finish(call, GRPC_INTERNAL, "not a request for claims");
	else if (claims->n_claims > CLAIMS_MAX)
		die("too many claims");
	return claims;
}

/* One device a claim; a claim named "bad" is refused. */
static void prepare(struct grpc_call *call, const struct grpc_request *request, void *user)
{
	prepare_request *claims = read_claims(call, request);
	prepare_response response =
		K8S__IO__KUBELET__PKG__APIS__DRA__V1__NODE_PREPARE_RESOURCES_RESPONSE__INIT;
	prepare_entry entries[CLAIMS_MAX], *entry_list[CLAIMS_MAX];
	prepare_answer answers[CLAIMS_MAX];
	dra_device device = K8S__IO__KUBELET__PKG__APIS__DRA__V1__DEVICE__INIT,
		   *list[] = { &device };
	char *names[] = { "cpu" }, *ids[] = { "rt.takt.dev/reservation=camera" };

	if (!claims)
		return;
	device.n_request_names = device.n_cdi_device_ids = 1;
	device.request_names = names;
	device.cdi_device_ids = ids;
	device.pool_name = "node1";
	device.device_name = "shared";
	device.share_id = strstr(request->method->path, "v1beta1") ? "" : "share";
	for (size_t i = 0; i < claims->n_claims; i++) {
		k8s__io__kubelet__pkg__apis__dra__v1__node_prepare_resource_response__init(
			&answers[i]);
		k8s__io__kubelet__pkg__apis__dra__v1__node_prepare_resources_response__claims_entry__init(
			&entries[i]);
		entry_list[i] = &entries[i];
		entries[i].key = claims->claims[i]->uid;
		entries[i].value = &answers[i];
		if (strcmp(claims->claims[i]->name, "bad") == 0) {
			answers[i].error = "does not fit";
			continue;
		}
		answers[i].n_devices = 1;
		answers[i].devices = list;
	}
	response.n_claims = claims->n_claims;
	response.claims = entry_list;
	reply_packed(call, &response.base);
	k8s__io__kubelet__pkg__apis__dra__v1__node_prepare_resources_request__free_unpacked(
		claims, NULL);
}

/* The kubelet reads an entry without an error as done. */
static void unprepare(struct grpc_call *call, const struct grpc_request *request, void *user)
{
	typedef K8s__Io__Kubelet__Pkg__Apis__Dra__V1__NodeUnprepareResourcesResponse__ClaimsEntry
		entry;
	prepare_request *claims = read_claims(call, request);
	K8s__Io__Kubelet__Pkg__Apis__Dra__V1__NodeUnprepareResourcesResponse response =
		K8S__IO__KUBELET__PKG__APIS__DRA__V1__NODE_UNPREPARE_RESOURCES_RESPONSE__INIT;
	K8s__Io__Kubelet__Pkg__Apis__Dra__V1__NodeUnprepareResourceResponse done =
		K8S__IO__KUBELET__PKG__APIS__DRA__V1__NODE_UNPREPARE_RESOURCE_RESPONSE__INIT;
	entry entries[CLAIMS_MAX], *list[CLAIMS_MAX];

	if (!claims)
		return;
	for (size_t i = 0; i < claims->n_claims; i++) {
		k8s__io__kubelet__pkg__apis__dra__v1__node_unprepare_resources_response__claims_entry__init(
			&entries[i]);
		entries[i].key = claims->claims[i]->uid;
		entries[i].value = &done;
		list[i] = &entries[i];
	}
	response.n_claims = claims->n_claims;
	response.claims = list;
	reply_packed(call, &response.base);
	k8s__io__kubelet__pkg__apis__dra__v1__node_prepare_resources_request__free_unpacked(
		claims, NULL);
}

/* The full list, again and again, as fast as it is read. */
static void send_health(struct grpc_call *call)
{
	V1__NodeWatchResourcesResponse response = V1__NODE_WATCH_RESOURCES_RESPONSE__INIT;
	V1__DeviceHealth devices[DEVICES], *list[DEVICES];
	V1__DeviceIdentifier ids[DEVICES];
	char names[DEVICES][16];
	cleanup_free uint8_t *text = NULL;
	size_t len;

	for (int i = 0; i < DEVICES; i++) {
		snprintf(names[i], sizeof(names[i]), "cpu%d", i);
		v1__device_identifier__init(&ids[i]);
		ids[i].pool_name = "node1";
		ids[i].device_name = names[i];
		v1__device_health__init(&devices[i]);
		devices[i].device = &ids[i];
		devices[i].health =
			i % 2 ? V1__HEALTH_STATUS__HEALTHY : V1__HEALTH_STATUS__UNHEALTHY;
		devices[i].last_updated_time = 1790000000 + i;
		devices[i].health_check_timeout_seconds = 30;
		devices[i].message = i % 2 ? "" : "CPU is offline";
		list[i] = &devices[i];
	}
	response.n_devices = DEVICES;
	response.devices = list;
	len = v1__node_watch_resources_response__get_packed_size(&response);
	text = malloc(len);
	if (!text)
		die("out of memory");
	v1__node_watch_resources_response__pack(&response, text);
	if (grpc_call_send(call, (struct bytes){ (char *)text, len }) < 0)
		die("the health was not sent");
}

static void watch(struct grpc_call *call, const struct grpc_request *request, void *user)
{
	hold(call, request, user);
	send_health(call);
}

#define DRA "/k8s.io.kubelet.pkg.apis.dra."

static const struct grpc_method methods[] = {
	{ "/test.Echo/Say", false, say, NULL, NULL },
	{ "/test.Echo/Hold", false, hold, forget, NULL },
	{ "/test.Echo/Count", false, count, NULL, NULL },
	{ "/test.Echo/Fail", false, fail, NULL, NULL },
	{ "/test.Echo/TooLong", false, too_long, NULL, NULL },
	{ "/pluginregistration.Registration/GetInfo", false, get_info, NULL, NULL },
	{ "/pluginregistration.Registration/NotifyRegistrationStatus", false, notify, NULL, NULL },
	{ DRA "v1.DRAPlugin/NodePrepareResources", false, prepare, NULL, NULL },
	{ DRA "v1.DRAPlugin/NodeUnprepareResources", false, unprepare, NULL, NULL },
	{ DRA "v1beta1.DRAPlugin/NodePrepareResources", false, prepare, NULL, NULL },
	{ DRA "v1beta1.DRAPlugin/NodeUnprepareResources", false, unprepare, NULL, NULL },
	{ "/v1.DRAResourceHealth/NodeWatchResources", true, watch, forget, send_health },
	{ "/v1alpha1.DRAResourceHealth/NodeWatchResources", true, watch, forget, send_health },
};

static const struct grpc_service service = { methods, ARRAY_SIZE(methods), wake };

static void on_connection(uv_stream_t *stream, int status)
{
	struct peer *p = calloc(1, sizeof(*p));
	int slot = 0;

	while (slot < PEERS_MAX && peers[slot])
		slot++;
	if (!p || status < 0 || slot == PEERS_MAX ||
		grpc_conn_create(&p->conn, &service, p, NULL) < 0)
		die("a connection failed");
	peers[slot] = p;
	p->pipe.data = p->flush.data = p;
	p->open_handles = 2;
	uv_pipe_init(&loop, &p->pipe, 0);
	uv_idle_init(&loop, &p->flush);
	if (uv_accept(stream, (uv_stream_t *)&p->pipe) < 0 ||
		uv_read_start((uv_stream_t *)&p->pipe, on_alloc, on_read) < 0)
		die("a connection failed");
	peer_flush(p);
}

/* Unary calls get an answer, streams a status. */
static void on_last_words(uv_timer_t *timer)
{
	for (int i = 0; i < HELD_MAX; i++)
		if (held[i])
			grpc_call_finish(TAKE(held[i]), GRPC_UNAVAILABLE, "the plugin ends");
}

static void on_sigterm(uv_signal_t *signal, int number)
{
	for (int i = 0; i < PEERS_MAX; i++)
		if (peers[i] && grpc_conn_shutdown(peers[i]->conn, NULL) == 0)
			peer_flush(peers[i]);
	uv_close((uv_handle_t *)&listener, NULL);
	uv_close((uv_handle_t *)&sigterm, NULL);
	uv_timer_start(&last_words, on_last_words, LAST_WORDS_MS, 0);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		die("grpc_server SOCKET");
	signal(SIGPIPE, SIG_IGN);
	uv_loop_init(&loop);
	uv_pipe_init(&loop, &listener, 0);
	uv_timer_init(&loop, &last_words);
	uv_signal_init(&loop, &sigterm);
	if (uv_pipe_bind(&listener, argv[1]) < 0 ||
		uv_listen((uv_stream_t *)&listener, PEERS_MAX, on_connection) < 0 ||
		uv_signal_start(&sigterm, on_sigterm, SIGTERM) < 0)
		die("cannot listen");
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_close((uv_handle_t *)&last_words, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	return uv_loop_close(&loop) < 0;
}
