// SPDX-License-Identifier: Apache-2.0
#include "api/service.h"

#include <errno.h>
#include <string.h>

/* The interface that each server has, as varlink.org "org.varlink.service" gives it. */
static const char service_interface[] =
	"# The interface that every Varlink server has.\n"
	"interface org.varlink.service\n\n"
	"method GetInfo() -> (vendor: string, product: string, version: string, url: string,\n"
	"  interfaces: []string)\n\n"
	"method GetInterfaceDescription(interface: string) -> (description: string)\n\n"
	"error InterfaceNotFound (interface: string)\n"
	"error MethodNotFound (method: string)\n"
	"error MethodNotImplemented (method: string)\n"
	"error InvalidParameter (parameter: string)\n"
	"error PermissionDenied ()\n"
	"error ExpectedMore ()\n";

static int answer(json_t *parameters, char **ret, size_t *ret_len, struct err *err)
{
	cleanup_json json_t *owned = parameters;
	int r;

	if (!owned)
		return err_set(err, -ENOMEM, "out of memory");
	r = api_reply_encode(owned, false, ret, ret_len, err);
	return r < 0 ? r : 1;
}

static int refuse(enum api_error e, const char *name, char **ret, size_t *ret_len, struct err *err)
{
	int r = api_error_encode(e, name, NULL, NULL, 0, ret, ret_len, err);

	return r < 0 ? r : 1;
}

static int describe(const json_t *parameters, char **ret, size_t *ret_len, struct err *err)
{
	const char *name = json_string_value(json_object_get(parameters, "interface"));

	if (!name)
		return refuse(API_INVALID_PARAMETER, "interface", ret, ret_len, err);
	if (strcmp(name, "rt.takt") == 0)
		return answer(json_pack("{s:s}", "description", api_interface), ret, ret_len, err);
	if (strcmp(name, "org.varlink.service") == 0)
		return answer(
			json_pack("{s:s}", "description", service_interface), ret, ret_len, err);
	return refuse(API_INTERFACE_NOT_FOUND, name, ret, ret_len, err);
}

int api_service_answer(const struct api_call *call, char **ret, size_t *ret_len, struct err *err)
{
	static const char prefix[] = "org.varlink.service.";
	const char *method = call->method + strlen(prefix);

	if (strncmp(call->method, prefix, strlen(prefix)) != 0)
		return 0;
	if (strcmp(method, "GetInfo") == 0)
		return answer(json_pack("{s:s, s:s, s:s, s:s, s:[s, s]}", "vendor", "Takt",
				      "product", "taktd", "version", TAKT_VERSION, "url", "",
				      "interfaces", "org.varlink.service", "rt.takt"),
			ret, ret_len, err);
	if (strcmp(method, "GetInterfaceDescription") == 0)
		return describe(call->parameters, ret, ret_len, err);
	return refuse(API_METHOD_NOT_FOUND, call->method, ret, ret_len, err);
}
