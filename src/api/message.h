/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages of the door: a call, its replies, its errors (rt.takt.varlink, varlink.org
 * "Protocol"). The agent decodes calls and encodes the rest, every client the other way round.
 */
#pragma once

#include <stdbool.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"

#define API_NAME_MAX 128 /* of a method or an error, with the NUL */

/* What somebody asks; owns `parameters`, which is always an object. */
struct api_call {
	char method[API_NAME_MAX]; /* "rt.takt.Reserve" */
	json_t *parameters;
	bool more, oneway;
};

#define API_CALL_NULL ((struct api_call){ 0 })

void api_call_fini(struct api_call *c); /* accepts NULL and a zeroed call */

#define cleanup_api_call __attribute__((cleanup(api_call_fini)))

/*
 * From one message, without its NUL. -EBADMSG: not JSON, not a call, nested deeper than 32, or a
 * name twice in one object; -EOPNOTSUPP: it asks for "upgrade"; -ENOMEM. *ret changes on success
 * only.
 */
int api_call_decode(struct bytes text, struct api_call *ret, struct err *err);

/*
 * `parameters` is borrowed and may be NULL: none. *ret is the caller's to free(); *ret_len counts
 * the NUL. -EMSGSIZE: longer than API_MESSAGE_MAX; -ENOMEM. The same holds for all encoders here.
 */
int api_call_encode(const char *method, json_t *parameters, bool more, char **ret, size_t *ret_len,
	struct err *err);

/* One answer to a call; owns `parameters`, which is always an object. */
struct api_reply {
	json_t *parameters;
	bool continues; /* another one follows */
	char error[API_NAME_MAX]; /* "rt.takt.DoesNotFit"; "": none */
};

#define API_REPLY_NULL ((struct api_reply){ 0 })

void api_reply_fini(struct api_reply *r); /* accepts NULL and a zeroed reply */

#define cleanup_api_reply __attribute__((cleanup(api_reply_fini)))

/* As api_call_decode. */
int api_reply_decode(struct bytes text, struct api_reply *ret, struct err *err);
int api_reply_encode(
	json_t *parameters, bool continues, char **ret, size_t *ret_len, struct err *err);

enum api_error {
	API_OK,
	API_DOES_NOT_FIT,
	API_NO_SUCH_RESERVATION,
	API_EXISTS,
	API_BUSY,
	API_BAD_DOCUMENT,
	API_BAD_ARGUMENT,
	API_NOT_PERMITTED,
	API_NOT_APPLICABLE,
	API_FAILED,
	API_METHOD_NOT_FOUND, /* this one and the next ones are org.varlink.service's */
	API_INTERFACE_NOT_FOUND,
	API_INVALID_PARAMETER,
	API_EXPECTED_MORE,
	_API_ERROR_MAX,
};

/* "rt.takt.DoesNotFit"; "" for API_OK and out of range. */
const char *api_error_name(enum api_error e);
/* API_FAILED for a name that this table does not know; API_OK for "". */
enum api_error api_error_parse(const char *name);

/*
 * What a client makes of an error reply: a negative errno by takt_call()'s table (takt/takt.h), and
 * the agent's reason with the mistakes of a document behind it.
 */
int api_reply_error(const struct api_reply *reply, struct err *err);

/*
 * `name` is the one of the error's own parameter: of the reservation, the method, the interface
 * or the parameter; an error without one ignores it, and NULL is "". `reason` and `faults` go
 * into those errors that have them. -EINVAL for API_OK.
 */
int api_error_encode(enum api_error e, const char *name, const char *reason, char *const *faults,
	size_t n_faults, char **ret, size_t *ret_len, struct err *err);
