// SPDX-License-Identifier: Apache-2.0
#include "api/service.h"

#include "test.h"

/* *ret_error is "" for a reply. */
static json_t *ask(const char *method, json_t *parameters, char ret_error[static API_NAME_MAX])
{
	struct api_call call = { .parameters = parameters };
	cleanup_api_reply struct api_reply reply = API_REPLY_NULL;
	cleanup_free char *text = NULL;
	size_t len = 0;

	snprintf(call.method, sizeof(call.method), "%s", method);
	CHECK_EQ(api_service_answer(&call, &text, &len, NULL), 1);
	CHECK_EQ(api_reply_decode((struct bytes){ text, len - 1 }, &reply, NULL), 0);
	api_call_fini(&call);
	strcpy(ret_error, reply.error);
	return TAKE(reply.parameters);
}

TEST(the_service_says_who_it_is_and_what_it_speaks)
{
	char error[API_NAME_MAX];
	cleanup_json json_t *info = ask("org.varlink.service.GetInfo", json_object(), error);
	const json_t *interfaces = json_object_get(info, "interfaces");

	CHECK_TEXT(error, "");
	CHECK_TEXT(json_string_value(json_object_get(info, "product")), "taktd");
	CHECK_TEXT(json_string_value(json_object_get(info, "version")), TAKT_VERSION);
	CHECK_TEXT(json_string_value(json_array_get(interfaces, 1)), "rt.takt");
}

static void check_description(const char *interface)
{
	char error[API_NAME_MAX], line[128];
	cleanup_json json_t *p = ask("org.varlink.service.GetInterfaceDescription",
		json_pack("{s:s}", "interface", interface), error);
	const char *text = json_string_value(json_object_get(p, "description"));

	CHECK_TEXT(error, "");
	snprintf(line, sizeof(line), "\ninterface %s\n", interface);
	CHECK(text && strstr(text, line));
}

TEST(both_interfaces_are_described)
{
	check_description("rt.takt");
	check_description("org.varlink.service");
}

TEST(the_embedded_interface_is_whole)
{
	static const char last[] = "error Failed (reason: string)\n";
	size_t len = strlen(api_interface);

	CHECK(strncmp(api_interface, "# SPDX-License-Identifier", 25) == 0);
	CHECK(strstr(api_interface,
		      "method Release(name: string, unheld: ?bool, lazy: ?bool) -> ()") != NULL);
	CHECK_TEXT(api_interface + len - strlen(last), last);
}

TEST(every_error_of_the_door_is_in_the_interface)
{
	for (unsigned e = API_DOES_NOT_FIT; e <= API_FAILED; e++) {
		char line[API_NAME_MAX];

		snprintf(
			line, sizeof(line), "\nerror %s (", api_error_name(e) + strlen("rt.takt."));
		CHECK(strstr(api_interface, line) != NULL);
	}
}

TEST(what_is_not_there_is_refused_by_its_own_error)
{
	char error[API_NAME_MAX];
	cleanup_json json_t *a = ask("org.varlink.service.GetInterfaceDescription",
		json_pack("{s:s}", "interface", "io.other"), error);
	cleanup_json json_t *b = NULL, *c = NULL;

	CHECK_TEXT(error, "org.varlink.service.InterfaceNotFound");
	CHECK_TEXT(json_string_value(json_object_get(a, "interface")), "io.other");
	b = ask("org.varlink.service.GetInterfaceDescription", json_object(), error);
	CHECK_TEXT(error, "org.varlink.service.InvalidParameter");
	c = ask("org.varlink.service.Dance", json_object(), error);
	CHECK_TEXT(error, "org.varlink.service.MethodNotFound");
}

TEST(other_calls_are_left_to_others)
{
	struct api_call call = { .method = "rt.takt.List" };
	char *text = NULL;
	size_t len = 0;

	CHECK_EQ(api_service_answer(&call, &text, &len, NULL), 0);
	CHECK(!text);
}
