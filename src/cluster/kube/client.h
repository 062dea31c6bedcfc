/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The API server's client: get, list, create, update, apply and delete objects, one callback an
 * answer, in a libuv loop. Used by takt-dra and takt-controller; the program ignores SIGPIPE.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"
#include "cluster/kube/config.h"
#include "cluster/kube/path.h"
#include "cluster/kube/status.h"

struct kube_client;
struct kube_call;

#define KUBE_ANSWER_MAX_BYTES (32 * 1024 * 1024)
#define KUBE_TIMEOUT_MS 30000

struct kube_client_options {
	const char *user_agent; /* "takt-dra/0.1.0"; copied */
	uint64_t (*random)(void *data); /* for the waits of watches; any good numbers */
	void *data;
	unsigned timeout_ms; /* of a call, from its begin to its end; 0: KUBE_TIMEOUT_MS */
	size_t answer_max_bytes; /* 0: KUBE_ANSWER_MAX_BYTES */
};

/* Takes over what *config has, which is empty afterwards. Nothing is sent yet. */
int kube_client_create(struct kube_client **ret, uv_loop_t *loop, struct kube_config *config,
	const struct kube_client_options *options, struct err *err);

/*
 * Cancels what is under way; no callback comes any more. Watches are stopped before. The memory
 * goes when the loop has run some turns. May be called from a callback; accepts NULL.
 */
void kube_client_destroy(struct kube_client *c);

/* Of the kubeconfig's context, or of the pod; NULL: none. */
const char *kube_client_namespace(const struct kube_client *c);

/* How a call ended; all in it lives until the callback returns. */
struct kube_answer {
	/*
	 * 0, or as struct kube_status says, where an answer came. Else: -ECONNREFUSED no
	 * connection; -EHOSTUNREACH no address for the name; -ETIMEDOUT; -EKEYREJECTED the
	 * server's certificate, or it does not take ours; -EMSGSIZE the answer is too long;
	 * -EPROTO it is no HTTP, no JSON, or a redirect; -EIO the connection broke; -ENOMEM; or
	 * why there is no credential.
	 */
	int code;
	struct kube_status status; /* http 0: no answer came */
	json_t *object; /* NULL unless code is 0; keep it by json_incref() */
	struct err err; /* the sentence where code is negative */
};

/* Called once, from the loop, never from inside the function that made the call. */
typedef void kube_done(void *data, const struct kube_answer *answer);

/*
 * Each makes one call; *ret (may be NULL) is valid until its callback begins. 0: the callback
 * will come, also for errors. Negative: it will not (-EINVAL: the path; -ENOMEM). 16 are under way
 * at a time, watches besides; others wait for them, in their order and outside of the time-out.
 */
int kube_get(struct kube_client *c, const struct kube_ref *ref, kube_done *done, void *data,
	struct kube_call **ret, struct err *err);

struct kube_list_options {
	const char *label_selector, *field_selector; /* NULL: all */
	unsigned limit; /* 0: all at once */
	const char *next; /* metadata.continue of the page before; NULL: the first */
};

/* One page: "items", and "metadata.continue" where there are more. */
int kube_list(struct kube_client *c, const struct kube_ref *ref,
	const struct kube_list_options *options, kube_done *done, void *data,
	struct kube_call **ret, struct err *err);

/*
 * POST to the collection, ref without a name, or to a subresource of an object ("token").
 * -EEXIST: there is one with that name.
 */
int kube_create(struct kube_client *c, const struct kube_ref *ref, const json_t *object,
	kube_done *done, void *data, struct kube_call **ret, struct err *err);

/* PUT of the whole object with the resourceVersion that was read. -EAGAIN: it has changed. */
int kube_update(struct kube_client *c, const struct kube_ref *ref, const json_t *object,
	kube_done *done, void *data, struct kube_call **ret, struct err *err);

/*
 * Server-side apply: `object` has apiVersion, kind and the fields that field_manager wants to own.
 * force: takes them from other managers; else such a conflict is -EAGAIN.
 */
int kube_apply(struct kube_client *c, const struct kube_ref *ref, const json_t *object,
	const char *field_manager, bool force, kube_done *done, void *data, struct kube_call **ret,
	struct err *err);

/* uid and resource_version, where not NULL, must be the object's: else -EAGAIN. */
int kube_delete(struct kube_client *c, const struct kube_ref *ref, const char *uid,
	const char *resource_version, kube_done *done, void *data, struct kube_call **ret,
	struct err *err);

/* Its callback does not come any more. Accepts NULL. */
void kube_call_cancel(struct kube_call *call);
