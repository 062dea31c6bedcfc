// SPDX-License-Identifier: Apache-2.0
/*
 * A call of the kubelet names several claims; it is answered when each of them is done, and a claim
 * that failed does not fail the others. A call that the kubelet gave up goes on without an answer:
 * what was promised of a claim that has room for all stays, and the next call finds it.
 */
#include "cluster/nodeplugin/kubelet.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cluster/dra/claim.h"
#include "cluster/nodeplugin/health.h"
#include "cluster/nodeplugin/listen.h"
#include "cluster/wire/dra_v1.pb-c.h"
#include "cluster/wire/registration.pb-c.h"

/* protoc-c writes the package into every name. */
#define DRA(name) K8s__Io__Kubelet__Pkg__Apis__Dra__V1__##name
#define DRA_NULL(name) K8S__IO__KUBELET__PKG__APIS__DRA__V1__##name##__INIT

typedef DRA(Claim) Claim;
typedef DRA(Device) Device;
typedef DRA(NodePrepareResourcesRequest) Request;
typedef DRA(NodePrepareResourceResponse) Prepared;
typedef DRA(NodePrepareResourcesResponse__ClaimsEntry) PreparedEntry;
typedef DRA(NodePrepareResourcesResponse) PrepareReply;
typedef DRA(NodeUnprepareResourceResponse) Unprepared;
typedef DRA(NodeUnprepareResourcesResponse__ClaimsEntry) UnpreparedEntry;
typedef DRA(NodeUnprepareResourcesResponse) UnprepareReply;

struct device {
	Device message;
	char *names[1];
};

struct kubelet_task {
	struct call *call;
	const Claim *claim;
	struct device *devices[CLAIM_RESULTS_MAX];
	size_t n;
	bool failed;
	char *error; /* why; NULL: there was no memory for it */
};

struct call {
	struct grpc_call *grpc; /* NULL: the kubelet gave up */
	bool unprepare;
	Request *request;
	size_t pending;
	struct kubelet_task tasks[];
};

static void device_free(struct device *d)
{
	if (!d)
		return;
	free(d->names[0]);
	free(d->message.pool_name);
	free(d->message.device_name);
	free(d->message.share_id);
	if (d->message.cdi_device_ids)
		free(d->message.cdi_device_ids[0]);
	free(d->message.cdi_device_ids);
	free(d);
}

static void call_free(struct call *c)
{
	for (size_t i = 0; i < c->request->n_claims; i++) {
		for (size_t k = 0; k < c->tasks[i].n; k++)
			device_free(c->tasks[i].devices[k]);
		free(c->tasks[i].error);
	}
	protobuf_c_message_free_unpacked(&c->request->base, NULL);
	free(c);
}

/* Packs and answers; the message's parts stay the caller's. */
static void reply(struct grpc_call *call, const ProtobufCMessage *message)
{
	size_t len = protobuf_c_message_get_packed_size(message);
	cleanup_free uint8_t *bytes = malloc(len + 1);

	if (!bytes) {
		grpc_call_finish(call, GRPC_RESOURCE_EXHAUSTED, "takt-dra is out of memory");
		return;
	}
	protobuf_c_message_pack(message, bytes);
	grpc_call_reply(call, (struct bytes){ (char *)bytes, len });
}

static char *error_of(const struct kubelet_task *t)
{
	return t->error ? t->error : (char *)"takt-dra is out of memory";
}

static void reply_prepared(struct call *c)
{
	size_t n = c->request->n_claims;
	cleanup_free Prepared *values = calloc(n + 1, sizeof(*values));
	cleanup_free PreparedEntry *entries = calloc(n + 1, sizeof(*entries));
	cleanup_free PreparedEntry **list = calloc(n + 1, sizeof(*list));
	PrepareReply message = DRA_NULL(NODE_PREPARE_RESOURCES_RESPONSE);

	if (!values || !entries || !list) {
		grpc_call_finish(c->grpc, GRPC_RESOURCE_EXHAUSTED, "takt-dra is out of memory");
		return;
	}
	for (size_t i = 0; i < n; i++) {
		struct kubelet_task *t = &c->tasks[i];

		values[i] = (Prepared)DRA_NULL(NODE_PREPARE_RESOURCE_RESPONSE);
		if (t->failed) {
			values[i].error = error_of(t);
		} else {
			/* A device begins with its message. */
			values[i].devices = (Device **)t->devices;
			values[i].n_devices = t->n;
		}
		entries[i] = (PreparedEntry)DRA_NULL(NODE_PREPARE_RESOURCES_RESPONSE__CLAIMS_ENTRY);
		entries[i].key = t->claim->uid;
		entries[i].value = &values[i];
		list[i] = &entries[i];
	}
	message.claims = list;
	message.n_claims = n;
	reply(c->grpc, &message.base);
}

static void reply_unprepared(struct call *c)
{
	size_t n = c->request->n_claims;
	cleanup_free Unprepared *values = calloc(n + 1, sizeof(*values));
	cleanup_free UnpreparedEntry *entries = calloc(n + 1, sizeof(*entries));
	cleanup_free UnpreparedEntry **list = calloc(n + 1, sizeof(*list));
	UnprepareReply message = DRA_NULL(NODE_UNPREPARE_RESOURCES_RESPONSE);

	if (!values || !entries || !list) {
		grpc_call_finish(c->grpc, GRPC_RESOURCE_EXHAUSTED, "takt-dra is out of memory");
		return;
	}
	for (size_t i = 0; i < n; i++) {
		values[i] = (Unprepared)DRA_NULL(NODE_UNPREPARE_RESOURCE_RESPONSE);
		if (c->tasks[i].failed)
			values[i].error = error_of(&c->tasks[i]);
		entries[i] =
			(UnpreparedEntry)DRA_NULL(NODE_UNPREPARE_RESOURCES_RESPONSE__CLAIMS_ENTRY);
		entries[i].key = c->tasks[i].claim->uid;
		entries[i].value = &values[i];
		list[i] = &entries[i];
	}
	message.claims = list;
	message.n_claims = n;
	reply(c->grpc, &message.base);
}

static void end_one(struct call *c)
{
	if (--c->pending > 0)
		return;
	if (c->grpc && c->unprepare)
		reply_unprepared(c);
	else if (c->grpc)
		reply_prepared(c);
	call_free(c);
}

static void begin(
	struct grpc_call *grpc, const struct grpc_request *request, void *peer, bool unprepare)
{
	struct kubelet_owner *owner = listen_user(peer);
	/* Both requests are the same bytes. */
	Request *message =
		k8s__io__kubelet__pkg__apis__dra__v1__node_prepare_resources_request__unpack(
			NULL, request->message.len, (const uint8_t *)request->message.at);
	struct call *c;

	if (!message || message->n_claims > KUBELET_CLAIMS_MAX) {
		if (message)
			protobuf_c_message_free_unpacked(&message->base, NULL);
		grpc_call_finish(grpc, GRPC_INVALID_ARGUMENT,
			"the request is no list of claims, or has too many");
		return;
	}
	c = calloc(1, sizeof(*c) + message->n_claims * sizeof(c->tasks[0]));
	if (!c) {
		protobuf_c_message_free_unpacked(&message->base, NULL);
		grpc_call_finish(grpc, GRPC_RESOURCE_EXHAUSTED, "takt-dra is out of memory");
		return;
	}
	c->grpc = grpc;
	c->unprepare = unprepare;
	c->request = message;
	c->pending = message->n_claims + 1; /* one for this function */
	grpc_call_set_data(grpc, c);
	for (size_t i = 0; i < message->n_claims; i++) {
		c->tasks[i].call = c;
		c->tasks[i].claim = message->claims[i];
	}
	for (size_t i = 0; i < message->n_claims; i++)
		(unprepare ? owner->handler->unprepare : owner->handler->prepare)(
			owner, &c->tasks[i]);
	end_one(c);
}

static void on_prepare(struct grpc_call *call, const struct grpc_request *request, void *peer)
{
	begin(call, request, peer, false);
}

static void on_unprepare(struct grpc_call *call, const struct grpc_request *request, void *peer)
{
	begin(call, request, peer, true);
}

static void on_cancelled(struct grpc_call *grpc)
{
	struct call *c = grpc_call_data(grpc);

	if (c)
		c->grpc = NULL;
}

/* Newest first: the kubelet takes the first that it knows. */
static void on_info(struct grpc_call *call, const struct grpc_request *request, void *peer)
{
	struct kubelet_owner *owner = listen_user(peer);
	char *versions[] = { "v1.DRAPlugin", "v1beta1.DRAPlugin", "v1.DRAResourceHealth",
		"v1alpha1.DRAResourceHealth" };
	Pluginregistration__PluginInfo info = PLUGINREGISTRATION__PLUGIN_INFO__INIT;

	info.type = "DRAPlugin";
	info.name = CLAIM_DRIVER;
	info.endpoint = (char *)owner->endpoint;
	info.supported_versions = versions;
	info.n_supported_versions = ARRAY_SIZE(versions);
	reply(call, &info.base);
}

static void on_status(struct grpc_call *call, const struct grpc_request *request, void *peer)
{
	struct kubelet_owner *owner = listen_user(peer);
	Pluginregistration__RegistrationStatusResponse answer =
		PLUGINREGISTRATION__REGISTRATION_STATUS_RESPONSE__INIT;
	Pluginregistration__RegistrationStatus *status =
		pluginregistration__registration_status__unpack(
			NULL, request->message.len, (const uint8_t *)request->message.at);

	if (!status) {
		grpc_call_finish(call, GRPC_INVALID_ARGUMENT, "no registration status");
		return;
	}
	owner->handler->registered(owner, status->plugin_registered ? NULL : status->error);
	pluginregistration__registration_status__free_unpacked(status, NULL);
	reply(call, &answer.base);
}

const struct grpc_method kubelet_registration_methods[] = {
	{ "/pluginregistration.Registration/GetInfo", false, on_info, NULL, NULL },
	{ "/pluginregistration.Registration/NotifyRegistrationStatus", false, on_status, NULL,
		NULL },
};
const size_t kubelet_n_registration_methods = ARRAY_SIZE(kubelet_registration_methods);

#define DRA_METHODS(version)                                                                 \
	{ "/k8s.io.kubelet.pkg.apis.dra." version ".DRAPlugin/NodePrepareResources", false,  \
		on_prepare, on_cancelled, NULL },                                            \
	{                                                                                    \
		"/k8s.io.kubelet.pkg.apis.dra." version ".DRAPlugin/NodeUnprepareResources", \
			false, on_unprepare, on_cancelled, NULL                              \
	}

#define HEALTH_METHOD(version)                                                              \
	{                                                                                   \
		"/" version ".DRAResourceHealth/NodeWatchResources", true, health_on_start, \
			health_on_cancelled, health_on_drained                              \
	}

const struct grpc_method kubelet_dra_methods[] = { DRA_METHODS("v1"), DRA_METHODS("v1beta1"),
	HEALTH_METHOD("v1"), HEALTH_METHOD("v1alpha1") };
const size_t kubelet_n_dra_methods = ARRAY_SIZE(kubelet_dra_methods);

const char *kubelet_task_namespace(const struct kubelet_task *t)
{
	return t->claim->namespace_;
}

const char *kubelet_task_name(const struct kubelet_task *t)
{
	return t->claim->name;
}

const char *kubelet_task_uid(const struct kubelet_task *t)
{
	return t->claim->uid;
}

int kubelet_add_device(struct kubelet_task *t, const struct kubelet_device *from)
{
	struct device *d = calloc(1, sizeof(*d));

	if (!d || t->n == ARRAY_SIZE(t->devices)) {
		free(d);
		return -ENOMEM;
	}
	d->message = (Device)DRA_NULL(DEVICE);
	d->names[0] = strdup(from->request);
	d->message.request_names = d->names;
	d->message.n_request_names = 1;
	d->message.pool_name = strdup(from->pool);
	d->message.device_name = strdup(from->device);
	d->message.share_id = strdup(from->share_id ? from->share_id : "");
	d->message.cdi_device_ids = calloc(1, sizeof(char *));
	if (d->message.cdi_device_ids)
		d->message.cdi_device_ids[0] = strdup(from->cdi);
	d->message.n_cdi_device_ids = 1;
	t->devices[t->n] = d;
	if (!d->names[0] || !d->message.pool_name || !d->message.device_name ||
		!d->message.share_id || !d->message.cdi_device_ids ||
		!d->message.cdi_device_ids[0]) {
		device_free(d);
		return -ENOMEM;
	}
	t->n++;
	return 0;
}

void kubelet_done(struct kubelet_task *t, const char *error)
{
	t->failed = error != NULL;
	if (error)
		t->error = strdup(error);
	end_one(t->call);
}
