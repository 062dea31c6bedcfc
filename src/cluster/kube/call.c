// SPDX-License-Identifier: Apache-2.0
#include "cluster/kube/client_private.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define HEADERS_MAX_BYTES (64 * 1024)
#define CONNECT_TIMEOUT_MS 10000
#define PATH_SHOWN 160

/* A peer that has gone without a word is noticed in half a minute, also while nothing is sent. */
static int on_socket_made(void *data, curl_socket_t fd, curlsocktype purpose)
{
	static const struct {
		int level, name, value;
	} options[] = {
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, 15 },
		{ IPPROTO_TCP, TCP_KEEPINTVL, 5 },
		{ IPPROTO_TCP, TCP_KEEPCNT, 3 },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, 30000 },
	};

	(void)data;
	(void)purpose;
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
	return CURL_SOCKOPT_OK;
}

static size_t on_header(char *at, size_t one, size_t n, void *data)
{
	struct kube_call *call = data;

	(void)at;
	(void)one;
	call->header_bytes += n;
	if (call->header_bytes <= HEADERS_MAX_BYTES)
		return n;
	call->trouble = -EMSGSIZE;
	return 0;
}

static int make_room(struct kube_call *call, size_t n)
{
	size_t need = call->used + n, size;
	char *grown;

	if (need > call->client->answer_max)
		return -EMSGSIZE;
	if (need <= call->size)
		return 0;
	size = need < 4096 ? 4096 : need + need / 2;
	grown = realloc(call->answer, size);
	if (!grown)
		return -ENOMEM;
	call->answer = grown;
	call->size = size;
	return 0;
}

static size_t on_body(char *at, size_t one, size_t n, void *data)
{
	struct kube_call *call = data;

	(void)one;
	call->trouble = make_room(call, n);
	if (call->trouble < 0)
		return 0;
	memcpy(call->answer + call->used, at, n);
	call->used += n;
	return n;
}

static void set_text(CURL *easy, CURLoption option, const char *text)
{
	if (text)
		curl_easy_setopt(easy, option, text);
}

static void set_blob(CURL *easy, CURLoption option, char *pem)
{
	struct curl_blob blob = { pem, pem ? strlen(pem) : 0, CURL_BLOB_COPY };

	if (pem)
		curl_easy_setopt(easy, option, &blob);
}

/* libcurl would trust the system's certificates besides the given ones: its CA folder is unset. */
static void set_trust(CURL *easy, const struct kube_config *c)
{
	if (c->insecure) {
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
		return;
	}
	if (!c->ca_file && !c->ca_pem)
		return;
	curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L);
	set_text(easy, CURLOPT_CAINFO, c->ca_file);
	set_blob(easy, CURLOPT_CAINFO_BLOB, c->ca_pem);
}

static void set_identity(CURL *easy, const struct kube_client *c)
{
	if (c->auth.now.cert_pem) {
		set_blob(easy, CURLOPT_SSLCERT_BLOB, c->auth.now.cert_pem);
		set_blob(easy, CURLOPT_SSLKEY_BLOB, c->auth.now.key_pem);
		return;
	}
	set_text(easy, CURLOPT_SSLCERT, c->config.cert_file);
	set_text(easy, CURLOPT_SSLKEY, c->config.key_file);
	set_blob(easy, CURLOPT_SSLCERT_BLOB, c->config.cert_pem);
	set_blob(easy, CURLOPT_SSLKEY_BLOB, c->config.key_pem);
}

static void set_route(CURL *easy, const struct kube_client *c)
{
	set_text(easy, CURLOPT_PROXY, c->config.proxy);
	if (c->config.loopback)
		curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	if (c->connect_to)
		curl_easy_setopt(easy, CURLOPT_CONNECT_TO, c->connect_to);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_socket_made);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
}

static void set_answer(CURL *easy, struct kube_call *call)
{
	curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->curl_error);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)call->timeout_ms);
}

static int add_header(struct kube_call *call, const char *name, const char *value)
{
	cleanup_free char *line = NULL;
	struct curl_slist *grown;

	if (!value)
		return 0;
	if (asprintf(&line, "%s: %s", name, value) < 0) {
		line = NULL;
		return -ENOMEM;
	}
	grown = curl_slist_append(call->headers, line);
	if (!grown)
		return -ENOMEM;
	call->headers = grown;
	return 0;
}

static int set_headers(CURL *easy, struct kube_call *call)
{
	const struct kube_client *c = call->client;
	cleanup_free char *bearer = NULL;
	int r = 0;

	if (c->auth.now.token && asprintf(&bearer, "Bearer %s", c->auth.now.token) < 0) {
		bearer = NULL;
		return -ENOMEM;
	}
	r = add_header(call, "Accept", "application/json");
	if (r == 0)
		r = add_header(call, "Authorization", bearer);
	if (r == 0)
		r = add_header(call, "Content-Type", call->content_type);
	if (r == 0)
		r = add_header(call, "Host", c->host_header);
	/* No "100 Continue" first, however long the body is. */
	if (r == 0 && call->body)
		r = add_header(call, "Expect", "");
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, c->user_agent);
	return r;
}

static int set_request(CURL *easy, struct kube_call *call)
{
	cleanup_free char *url = NULL;

	if (asprintf(&url, "%s%s", call->client->base_url, call->path) < 0) {
		url = NULL;
		return -ENOMEM;
	}
	if (curl_easy_setopt(easy, CURLOPT_URL, url) != CURLE_OK)
		return -ENOMEM;
	if (call->body) {
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(call->body));
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->body);
	}
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method);
	return set_headers(easy, call);
}

int kube_call_start(struct kube_call *call, struct err *err)
{
	struct kube_client *c = call->client;
	int r;

	call->easy = curl_easy_init();
	if (!call->easy)
		return err_set(err, -ENOMEM, "out of memory");
	call->generation = c->auth.generation;
	set_trust(call->easy, &c->config);
	set_identity(call->easy, c);
	set_route(call->easy, c);
	set_answer(call->easy, call);
	r = set_request(call->easy, call);
	if (r == 0 && curl_multi_add_handle(c->multi.curl, call->easy) != CURLM_OK)
		r = -ENOMEM;
	if (r == 0)
		return 0;
	kube_call_stop(call);
	return err_set(err, r, "out of memory");
}

void kube_call_stop(struct kube_call *call)
{
	if (call->easy) {
		curl_multi_remove_handle(call->client->multi.curl, call->easy);
		curl_easy_cleanup(TAKE(call->easy));
	}
	curl_slist_free_all(TAKE(call->headers));
	free(TAKE(call->answer));
	call->used = call->size = call->header_bytes = 0;
	call->trouble = 0;
	call->curl_error[0] = '\0';
}

static unsigned http_of(const struct kube_call *call)
{
	long http = 0;

	curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &http);
	return http > 0 ? (unsigned)http : 0;
}

bool kube_call_was_refused(const struct kube_call *call)
{
	return http_of(call) == 401;
}

bool kube_call_has_bytes(const struct kube_call *call)
{
	return call->easy && call->more && call->used > 0 && http_of(call) == 200;
}

void kube_call_deliver(struct kube_call *call)
{
	cleanup_free char *answer = TAKE(call->answer);
	size_t used = call->used;

	call->used = call->size = 0;
	call->busy = true;
	call->more(call->data, (struct bytes){ answer, used });
	call->busy = false;
	if (call->cancelled)
		kube_call_drop(call);
}

static int code_of(CURLcode rc)
{
	switch (rc) {
	case CURLE_COULDNT_CONNECT:
		return -ECONNREFUSED;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return -EHOSTUNREACH;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
		return -EKEYREJECTED;
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_WEIRD_SERVER_REPLY:
		return -EPROTO;
	default:
		return -EIO;
	}
}

static void say(const struct kube_call *call, struct kube_answer *ret, const char *what)
{
	ret->code = ret->code < 0 ? ret->code : -EIO;
	err_set(&ret->err, ret->code, "%s %.*s at %s: %s", call->method, PATH_SHOWN, call->path,
		call->client->config.server, what);
}

static void judge_transfer(const struct kube_call *call, CURLcode rc, struct kube_answer *ret)
{
	char what[ERR_TEXT_MAX];

	ret->code = call->trouble ? call->trouble : code_of(rc);
	if (ret->code == -EMSGSIZE)
		snprintf(what, sizeof(what), "the answer is longer than %zu bytes (%d for headers)",
			call->client->answer_max, HEADERS_MAX_BYTES);
	else
		snprintf(what, sizeof(what), "%s",
			*call->curl_error ? call->curl_error : curl_easy_strerror(rc));
	say(call, ret, what);
}

static void judge_no(const struct kube_call *call, struct kube_answer *ret)
{
	const struct kube_status *s = &ret->status;
	char what[KUBE_MESSAGE_MAX + KUBE_REASON_MAX + 64];

	if (s->http / 100 == 3)
		snprintf(what, sizeof(what),
			"answered %u, a redirect; Takt follows none: name the API server itself",
			s->http);
	else
		snprintf(what, sizeof(what), "%u%s%s%s%s", s->http, *s->reason ? " " : "",
			s->reason, *s->message ? ": " : "", s->message);
	say(call, ret, what);
}

void kube_call_judge(const struct kube_call *call, CURLcode rc, struct kube_answer *ret)
{
	struct bytes body = { call->answer, call->used };
	curl_off_t after = 0;

	*ret = (struct kube_answer){ .err = ERR_NULL };
	if (rc != CURLE_OK) {
		judge_transfer(call, rc, ret);
		return;
	}
	kube_status_read(http_of(call), body, &ret->status);
	ret->code = ret->status.code;
	curl_easy_getinfo(call->easy, CURLINFO_RETRY_AFTER, &after);
	if (after > 0 && ret->status.retry_after_s == 0)
		ret->status.retry_after_s = after < 3600 ? (unsigned)after : 3600;
	if (ret->code < 0) {
		judge_no(call, ret);
		return;
	}
	if (call->more)
		return;
	ret->object = body.len ? json_loadb(body.at, body.len, 0, NULL) : NULL;
	if (json_is_object(ret->object))
		return;
	json_decref(TAKE(ret->object));
	ret->code = -EPROTO;
	say(call, ret, "the answer is no JSON object");
}

static void call_free(struct kube_call *call)
{
	free(call->path);
	free(call->body);
	free(call);
}

void kube_call_drop(struct kube_call *call)
{
	struct kube_client *c = call->client;

	if (!call->cancelled) {
		kube_call_stop(call);
		if (call->previous)
			call->previous->next = call->next;
		else
			c->calls = call->next;
		if (call->next)
			call->next->previous = call->previous;
		call->cancelled = true;
		kube_client_kick(c);
	}
	if (!call->busy)
		call_free(call);
}

void kube_call_end(struct kube_call *call, const struct kube_answer *answer)
{
	kube_done *done = call->done;
	void *data = call->data;

	kube_call_drop(call);
	done(data, answer);
}
