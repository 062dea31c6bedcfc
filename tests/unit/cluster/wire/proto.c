// SPDX-License-Identifier: Apache-2.0
/* Names and numbers of the kubelet's messages, as they are on the wire. */
#include "cluster/wire/dra_v1.pb-c.h"
#include "cluster/wire/dra_v1beta1.pb-c.h"
#include "cluster/wire/health_v1.pb-c.h"
#include "cluster/wire/health_v1alpha1.pb-c.h"
#include "cluster/wire/registration.pb-c.h"
#include "cluster/wire/grpc_head.h"
#include "test.h"

static void has_method(const ProtobufCServiceDescriptor *service, const char *path)
{
	for (unsigned i = 0; i < service->n_methods; i++) {
		char text[256];

		snprintf(text, sizeof(text), "/%s/%s", service->name, service->methods[i].name);
		CHECK(strlen(text) < GRPC_PATH_MAX);
		if (strcmp(text, path) == 0)
			return;
	}
	fail_msg("%s has no %s", service->name, path);
}

TEST(the_services_have_the_kubelets_names)
{
	has_method(&pluginregistration__registration__descriptor,
		"/pluginregistration.Registration/GetInfo");
	has_method(&pluginregistration__registration__descriptor,
		"/pluginregistration.Registration/NotifyRegistrationStatus");
	has_method(&k8s__io__kubelet__pkg__apis__dra__v1__draplugin__descriptor,
		"/k8s.io.kubelet.pkg.apis.dra.v1.DRAPlugin/NodePrepareResources");
	has_method(&k8s__io__kubelet__pkg__apis__dra__v1__draplugin__descriptor,
		"/k8s.io.kubelet.pkg.apis.dra.v1.DRAPlugin/NodeUnprepareResources");
	has_method(&k8s__io__kubelet__pkg__apis__dra__v1beta1__draplugin__descriptor,
		"/k8s.io.kubelet.pkg.apis.dra.v1beta1.DRAPlugin/NodePrepareResources");
	has_method(&k8s__io__kubelet__pkg__apis__dra__v1beta1__draplugin__descriptor,
		"/k8s.io.kubelet.pkg.apis.dra.v1beta1.DRAPlugin/NodeUnprepareResources");
	has_method(&v1__draresource_health__descriptor, "/v1.DRAResourceHealth/NodeWatchResources");
	has_method(&v1alpha1__draresource_health__descriptor,
		"/v1alpha1.DRAResourceHealth/NodeWatchResources");
}

static void packs_to(const ProtobufCMessage *message, const void *wire, size_t len)
{
	uint8_t buf[256];

	CHECK_EQ(protobuf_c_message_get_packed_size(message), len);
	CHECK_EQ(protobuf_c_message_pack(message, buf), len);
	assert_memory_equal(buf, wire, len);
}

#define PACKS_TO(message, literal) packs_to(&(message).base, literal, sizeof(literal) - 1)

TEST(a_registration_is_on_the_wire_as_the_kubelet_reads_it)
{
	char *versions[] = { "a", "b" };
	Pluginregistration__PluginInfo info = PLUGINREGISTRATION__PLUGIN_INFO__INIT;

	info.type = "T";
	info.name = "N";
	info.endpoint = "E";
	info.n_supported_versions = 2;
	info.supported_versions = versions;
	PACKS_TO(info, "\x0a\1T\x12\1N\x1a\1E\x22\1a\x22\1b");
}

TEST(a_registration_status_is_read)
{
	Pluginregistration__RegistrationStatus *status =
		pluginregistration__registration_status__unpack(
			NULL, 6, (const uint8_t *)"\x08\1\x12\2no");

	CHECK(status && status->plugin_registered);
	CHECK_TEXT(status->error, "no");
	pluginregistration__registration_status__free_unpacked(status, NULL);
}

typedef K8s__Io__Kubelet__Pkg__Apis__Dra__V1__NodePrepareResourcesRequest prepare_request;
typedef K8s__Io__Kubelet__Pkg__Apis__Dra__V1__NodePrepareResourcesResponse prepare_response;
typedef K8s__Io__Kubelet__Pkg__Apis__Dra__V1__NodePrepareResourcesResponse__ClaimsEntry
	prepare_entry;
typedef K8s__Io__Kubelet__Pkg__Apis__Dra__V1__NodePrepareResourceResponse prepare_answer;
typedef K8s__Io__Kubelet__Pkg__Apis__Dra__V1__Device dra_device;

#define CLAIM "\x0a\x09\x0a\1n\x12\1u\x1a\1c"

TEST(the_claims_of_a_request_are_read)
{
	prepare_request *request =
		k8s__io__kubelet__pkg__apis__dra__v1__node_prepare_resources_request__unpack(
			NULL, 22, (const uint8_t *)(CLAIM CLAIM));

	CHECK(request && request->n_claims == 2);
	CHECK_TEXT(request->claims[1]->namespace_, "n");
	CHECK_TEXT(request->claims[1]->uid, "u");
	CHECK_TEXT(request->claims[1]->name, "c");
	k8s__io__kubelet__pkg__apis__dra__v1__node_prepare_resources_request__free_unpacked(
		request, NULL);
}

TEST(prepared_devices_are_on_the_wire_as_the_kubelet_reads_them)
{
	char *names[] = { "r" }, *ids[] = { "k=d" };
	dra_device device = K8S__IO__KUBELET__PKG__APIS__DRA__V1__DEVICE__INIT;
	dra_device *devices[] = { &device };
	prepare_answer answer =
		K8S__IO__KUBELET__PKG__APIS__DRA__V1__NODE_PREPARE_RESOURCE_RESPONSE__INIT;
	prepare_entry entry =
		K8S__IO__KUBELET__PKG__APIS__DRA__V1__NODE_PREPARE_RESOURCES_RESPONSE__CLAIMS_ENTRY__INIT;
	prepare_entry *entries[] = { &entry };
	prepare_response response =
		K8S__IO__KUBELET__PKG__APIS__DRA__V1__NODE_PREPARE_RESOURCES_RESPONSE__INIT;

	device.n_request_names = device.n_cdi_device_ids = 1;
	device.request_names = names;
	device.pool_name = "p";
	device.device_name = "d";
	device.cdi_device_ids = ids;
	PACKS_TO(device, "\x0a\1r\x12\1p\x1a\1d\x22\3k=d");
	device.share_id = "s";
	PACKS_TO(device, "\x0a\1r\x12\1p\x1a\1d\x22\3k=d\x2a\1s");
	answer.n_devices = 1;
	answer.devices = devices;
	entry.key = "u";
	entry.value = &answer;
	response.n_claims = 1;
	response.claims = entries;
	PACKS_TO(response, "\x0a\x18\x0a\1u\x12\x13\x0a\x11\x0a\1r\x12\1p\x1a\1d\x22\3k=d\x2a\1s");
	answer.n_devices = 0;
	answer.error = "no";
	PACKS_TO(response, "\x0a\x09\x0a\1u\x12\4\x12\2no");
}

/* v1beta1 is v1 without the share's id. */
TEST(a_claim_without_a_share_is_the_same_in_both_versions)
{
	K8s__Io__Kubelet__Pkg__Apis__Dra__V1beta1__Device device =
		K8S__IO__KUBELET__PKG__APIS__DRA__V1BETA1__DEVICE__INIT;
	K8s__Io__Kubelet__Pkg__Apis__Dra__V1beta1__NodeUnprepareResourceResponse gone =
		K8S__IO__KUBELET__PKG__APIS__DRA__V1BETA1__NODE_UNPREPARE_RESOURCE_RESPONSE__INIT;

	device.pool_name = "p";
	device.device_name = "d";
	PACKS_TO(device, "\x12\1p\x1a\1d");
	PACKS_TO(gone, "");
	gone.error = "no";
	PACKS_TO(gone, "\x0a\2no");
}

TEST(the_health_of_a_device_is_on_the_wire_as_the_kubelet_reads_it)
{
	V1__DeviceIdentifier id = V1__DEVICE_IDENTIFIER__INIT;
	V1__DeviceHealth health = V1__DEVICE_HEALTH__INIT;
	V1__DeviceHealth *list[] = { &health };
	V1__NodeWatchResourcesResponse response = V1__NODE_WATCH_RESOURCES_RESPONSE__INIT;
	V1alpha1__DeviceHealth old = V1ALPHA1__DEVICE_HEALTH__INIT;

	id.pool_name = "p";
	id.device_name = "d";
	health.device = &id;
	health.health = V1__HEALTH_STATUS__UNHEALTHY;
	health.last_updated_time = 3;
	health.health_check_timeout_seconds = 4;
	health.message = "m";
	response.n_devices = 1;
	response.devices = list;
	PACKS_TO(response, "\x0a\x11\x0a\6\x0a\1p\x12\1d\x10\2\x18\3\x20\4\x2a\1m");
	old.health = V1ALPHA1__HEALTH_STATUS__HEALTHY;
	PACKS_TO(old, "\x10\1");
}
