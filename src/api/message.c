// SPDX-License-Identifier: Apache-2.0
#include "api/message.h"

#include <errno.h>
#include <string.h>

#include "api/frame.h"
#include "api/json_private.h"

/* A call is a document at most; a reply may be a long List. */
#define CALL_VALUES_MAX 4096
#define REPLY_VALUES_MAX (2 * 1024 * 1024)

void api_call_fini(struct api_call *c)
{
	if (!c)
		return;
	json_decref(c->parameters);
	*c = API_CALL_NULL;
}

void api_reply_fini(struct api_reply *r)
{
	if (!r)
		return;
	json_decref(r->parameters);
	*r = API_REPLY_NULL;
}

static int read_name(
	const json_t *value, const char *field, char ret[static API_NAME_MAX], struct err *err)
{
	if (!json_is_string(value) || json_string_length(value) == 0 ||
		json_string_length(value) >= API_NAME_MAX)
		return err_set(err, -EBADMSG, "\"%s\" is not a name of 1 to %d bytes", field,
			API_NAME_MAX - 1);
	memcpy(ret, json_string_value(value), json_string_length(value) + 1);
	return 0;
}

static int read_flag(const json_t *value, const char *field, bool *ret, struct err *err)
{
	if (!json_is_boolean(value))
		return err_set(err, -EBADMSG, "\"%s\" is not true or false", field);
	*ret = json_is_true(value);
	return 0;
}

static int read_parameters(json_t *value, json_t **ret, struct err *err)
{
	if (json_is_null(value))
		return 0;
	if (!json_is_object(value))
		return err_set(err, -EBADMSG, "\"parameters\" is not an object");
	*ret = json_incref(value);
	return 0;
}

/* Absent parameters are an empty object. */
static int need_parameters(json_t **parameters, struct err *err)
{
	if (!*parameters)
		*parameters = json_object();
	return *parameters ? 0 : err_set(err, -ENOMEM, "out of memory");
}

static int call_field(struct api_call *c, const char *key, json_t *value, struct err *err)
{
	bool upgrade = false;
	int r;

	if (strcmp(key, "method") == 0)
		return read_name(value, key, c->method, err);
	if (strcmp(key, "parameters") == 0)
		return read_parameters(value, &c->parameters, err);
	if (strcmp(key, "more") == 0)
		return read_flag(value, key, &c->more, err);
	if (strcmp(key, "oneway") == 0)
		return read_flag(value, key, &c->oneway, err);
	if (strcmp(key, "upgrade") != 0)
		return err_set(err, -EBADMSG, "a call has no field \"%s\"", key);
	r = read_flag(value, key, &upgrade, err);
	if (r < 0)
		return r;
	return upgrade ? err_set(err, -EOPNOTSUPP, "\"upgrade\" is not offered here") : 0;
}

int api_call_decode(struct bytes text, struct api_call *ret, struct err *err)
{
	cleanup_json json_t *message = NULL;
	cleanup_api_call struct api_call c = API_CALL_NULL;
	const char *key;
	json_t *value;
	int r = api_json_load(text, CALL_VALUES_MAX, &message, err);

	if (r < 0)
		return r;
	json_object_foreach (message, key, value) {
		r = call_field(&c, key, value, err);
		if (r < 0)
			return r;
	}
	if (!c.method[0])
		return err_set(err, -EBADMSG, "the message has no \"method\"");
	r = need_parameters(&c.parameters, err);
	if (r < 0)
		return r;
	*ret = c;
	c = API_CALL_NULL;
	return 0;
}

/* A field that this table does not know is a later version's: "more fields may come". */
static int reply_field(struct api_reply *a, const char *key, json_t *value, struct err *err)
{
	if (strcmp(key, "parameters") == 0)
		return read_parameters(value, &a->parameters, err);
	if (strcmp(key, "continues") == 0)
		return read_flag(value, key, &a->continues, err);
	if (strcmp(key, "error") == 0)
		return read_name(value, key, a->error, err);
	return 0;
}

int api_reply_decode(struct bytes text, struct api_reply *ret, struct err *err)
{
	cleanup_json json_t *message = NULL;
	cleanup_api_reply struct api_reply a = API_REPLY_NULL;
	const char *key;
	json_t *value;
	int r = api_json_load(text, REPLY_VALUES_MAX, &message, err);

	if (r < 0)
		return r;
	json_object_foreach (message, key, value) {
		r = reply_field(&a, key, value, err);
		if (r < 0)
			return r;
	}
	r = need_parameters(&a.parameters, err);
	if (r < 0)
		return r;
	*ret = a;
	a = API_REPLY_NULL;
	return 0;
}

/* {"NAME": VALUE, "parameters": {...}, "FLAG": true}; the flag only where it is set. */
static int encode(const char *field, const char *name, json_t *parameters, const char *flag,
	size_t max, char **ret, size_t *ret_len, struct err *err)
{
	cleanup_json json_t *message = json_object();
	int bad = 0;

	if (name)
		bad |= json_object_set_new(message, field, api_json_text(name));
	bad |= parameters ? json_object_set(message, "parameters", parameters)
			  : json_object_set_new(message, "parameters", json_object());
	if (flag)
		bad |= json_object_set_new(message, flag, json_true());
	if (bad)
		return err_set(err, -ENOMEM, "out of memory");
	return api_json_dump(message, max, ret, ret_len, err);
}

int api_call_encode(const char *method, json_t *parameters, bool more, char **ret, size_t *ret_len,
	struct err *err)
{
	return encode("method", method, parameters, more ? "more" : NULL, API_MESSAGE_MAX, ret,
		ret_len, err);
}

int api_reply_encode(
	json_t *parameters, bool continues, char **ret, size_t *ret_len, struct err *err)
{
	return encode(NULL, NULL, parameters, continues ? "continues" : NULL, API_REPLY_MAX, ret,
		ret_len, err);
}

/* What each error says of itself: `parameter` takes the name, the next two are present or not. */
static const struct error_row {
	const char *name;
	const char *parameter;
	bool reason, faults;
} errors[_API_ERROR_MAX] = {
	[API_OK] = { "" },
	[API_DOES_NOT_FIT] = { "rt.takt.DoesNotFit", .reason = true },
	[API_NO_SUCH_RESERVATION] = { "rt.takt.NoSuchReservation", "name", .reason = true },
	[API_EXISTS] = { "rt.takt.Exists", "name", .reason = true },
	[API_BUSY] = { "rt.takt.Busy", "name", .reason = true },
	[API_BAD_DOCUMENT] = { "rt.takt.BadDocument", .reason = true, .faults = true },
	[API_BAD_ARGUMENT] = { "rt.takt.BadArgument", .reason = true },
	[API_NOT_PERMITTED] = { "rt.takt.NotPermitted", .reason = true },
	[API_NOT_APPLICABLE] = { "rt.takt.NotApplicable", .reason = true },
	[API_FAILED] = { "rt.takt.Failed", .reason = true },
	[API_METHOD_NOT_FOUND] = { "org.varlink.service.MethodNotFound", "method" },
	[API_INTERFACE_NOT_FOUND] = { "org.varlink.service.InterfaceNotFound", "interface" },
	[API_INVALID_PARAMETER] = { "org.varlink.service.InvalidParameter", "parameter" },
	[API_EXPECTED_MORE] = { "org.varlink.service.ExpectedMore" },
};

const char *api_error_name(enum api_error e)
{
	return e < _API_ERROR_MAX ? errors[e].name : "";
}

enum api_error api_error_parse(const char *name)
{
	for (unsigned e = 0; e < _API_ERROR_MAX; e++)
		if (strcmp(errors[e].name, name) == 0)
			return e;
	return API_FAILED;
}

static int error_code(enum api_error e)
{
	static const int codes[_API_ERROR_MAX] = {
		[API_DOES_NOT_FIT] = -ENOSPC,
		[API_NO_SUCH_RESERVATION] = -ESRCH,
		[API_EXISTS] = -EEXIST,
		[API_BUSY] = -EBUSY,
		[API_BAD_DOCUMENT] = -EINVAL,
		[API_BAD_ARGUMENT] = -EINVAL,
		[API_NOT_PERMITTED] = -EPERM,
		[API_NOT_APPLICABLE] = -EOPNOTSUPP,
		[API_FAILED] = -EIO,
		[API_METHOD_NOT_FOUND] = -ENOSYS,
		[API_INTERFACE_NOT_FOUND] = -ENOSYS,
		[API_INVALID_PARAMETER] = -EINVAL,
		[API_EXPECTED_MORE] = -EPROTO,
	};

	return e < _API_ERROR_MAX ? codes[e] : -EIO;
}

int api_reply_error(const struct api_reply *reply, struct err *err)
{
	const char *reason = json_string_value(json_object_get(reply->parameters, "reason"));
	const json_t *faults = json_object_get(reply->parameters, "faults");
	int code = error_code(api_error_parse(reply->error));
	size_t used;

	err_set(err, code, "%s", reason && *reason ? reason : reply->error);
	for (size_t i = 0; err && i < json_array_size(faults); i++) {
		const char *fault = json_string_value(json_array_get(faults, i));

		used = strlen(err->text);
		if (fault)
			snprintf(err->text + used, sizeof(err->text) - used, "%s%s",
				i ? "; " : ": ", fault);
	}
	return code;
}

static json_t *texts(char *const *list, size_t n)
{
	cleanup_json json_t *array = json_array();

	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(array, api_json_text(list[i])) < 0)
			return NULL;
	return TAKE(array);
}

int api_error_encode(enum api_error e, const char *name, const char *reason, char *const *faults,
	size_t n_faults, char **ret, size_t *ret_len, struct err *err)
{
	cleanup_json json_t *parameters = json_object();
	const struct error_row *row;
	int bad = 0;

	if (e <= API_OK || e >= _API_ERROR_MAX)
		return err_set(err, -EINVAL, "no error to encode");
	row = &errors[e];
	if (row->parameter)
		bad |= json_object_set_new(
			parameters, row->parameter, api_json_text(name ? name : ""));
	if (row->reason)
		bad |= json_object_set_new(
			parameters, "reason", api_json_text(reason ? reason : ""));
	if (row->faults)
		bad |= json_object_set_new(parameters, "faults", texts(faults, n_faults));
	if (bad || !parameters)
		return err_set(err, -ENOMEM, "out of memory");
	return encode("error", row->name, parameters, NULL, API_REPLY_MAX, ret, ret_len, err);
}
