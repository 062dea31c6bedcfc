/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client and its calls, for the files of this folder: client.c makes calls and owns them,
 * call.c is one call, watch.c uses streams.
 */
#pragma once

#include "base/bytes.h"
#include "cluster/kube/auth.h"
#include "cluster/kube/client.h"
#include "cluster/kube/multi.h"

struct kube_client {
	struct kube_multi multi;
	struct kube_config config;
	struct kube_auth auth;
	struct kube_call *calls;
	uv_timer_t kick; /* starts calls that wait, from the loop */
	bool closing;
	unsigned open_parts;
	char *base_url; /* with tls-server-name for a host, where there is one */
	char *user_agent;
	struct curl_slist *connect_to; /* the real host; NULL: the one of base_url */
	char *host_header; /* the same for "Host:"; NULL: libcurl's */
	uint64_t (*random)(void *data);
	void *random_data;
	unsigned timeout_ms;
	size_t answer_max;
};

struct kube_call {
	struct kube_client *client;
	struct kube_call *previous, *next;
	CURL *easy; /* NULL: it waits for its turn or for a credential */
	struct curl_slist *headers;
	const char *method, *content_type; /* static texts */
	char *path, *body;
	unsigned timeout_ms; /* 0: none */
	unsigned generation; /* of the credential that it was sent with */
	bool retried; /* it was refused once, and sent again */
	bool failing; /* it waited in vain; its end is being told */
	bool busy; /* `more` is being called */
	bool cancelled; /* meanwhile: to be freed behind it */
	char *answer;
	size_t used, size, header_bytes;
	int trouble; /* why a callback of libcurl stopped the transfer */
	char curl_error[CURL_ERROR_SIZE];
	void (*more)(void *data, struct bytes piece); /* a stream's bytes; NULL: no stream */
	kube_done *done;
	void *data;
};

/* What a call is made of; path and body are taken over, also on failure. */
struct kube_order {
	const char *method, *content_type;
	char *path, *body;
	unsigned timeout_ms;
	void (*more)(void *data, struct bytes piece);
	kube_done *done;
	void *data;
};

int kube_call_make(struct kube_client *c, const struct kube_order *order, struct kube_call **ret,
	struct err *err);

/* Sends it with the credential that is there. */
int kube_call_start(struct kube_call *call, struct err *err);
/* Takes it from libcurl; what it has received is forgotten. */
void kube_call_stop(struct kube_call *call);
/* Out of the client's list, and freed, at once or when `more` comes back. */
void kube_call_drop(struct kube_call *call);
/* A stream has bytes to hand on; the body of an error answer is none of a stream. */
bool kube_call_has_bytes(const struct kube_call *call);
void kube_call_deliver(struct kube_call *call);
/* Makes the answer out of how libcurl ended; the caller owns ret->object. */
void kube_call_judge(const struct kube_call *call, CURLcode rc, struct kube_answer *ret);
bool kube_call_was_refused(const struct kube_call *call);
/* `done` with this answer; the call is gone afterwards. */
void kube_call_end(struct kube_call *call, const struct kube_answer *answer);

/* A call waits, or there is room for one. */
void kube_client_kick(struct kube_client *c);

uint64_t kube_client_random(struct kube_client *c);
