// SPDX-License-Identifier: Apache-2.0
/*
 * Each case runs with the 1st, then the 2nd, then the 3rd ... allocation failing, until one run
 * needs no more: it fails then, or does all that it would have done. The linker sends our own
 * allocations through the __wrap functions, jansson is told to use them; leaks are ASan's to find.
 */
#include <errno.h>

#include "cluster/kube/config.h"
#include "cluster/kube/credential.h"
#include "cluster/kube/event.h"
#include "cluster/kube/lines.h"
#include "cluster/kube/path.h"
#include "test.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t len);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t len);

static struct {
	bool on;
	size_t count, fail_at;
} heap;

static bool heap_fails(void)
{
	return heap.on && ++heap.count == heap.fail_at;
}

void *__wrap_malloc(size_t size)
{
	return heap_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return heap_fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	return heap_fails() ? NULL : __real_realloc(p, size);
}

char *__wrap_strdup(const char *text)
{
	return heap_fails() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t len)
{
	return heap_fails() ? NULL : __real_strndup(text, len);
}

/* `once` returns 0 or a negative errno; `wanted` is that of a run in which an allocation fails. */
static void sweep(int (*once)(void), int wanted)
{
	json_set_alloc_funcs(__wrap_malloc, free);
	for (heap.fail_at = 1;; heap.fail_at++) {
		int r;

		heap.count = 0;
		heap.on = true;
		r = once();
		heap.on = false;
		if (heap.count < heap.fail_at) {
			CHECK_EQ(r, 0);
			break;
		}
		if (wanted)
			CHECK_EQ(r, wanted);
		else
			CHECK(r < 0);
	}
	CHECK(heap.fail_at > 4);
}

static int kubeconfig(void)
{
	static const char text[] =
		"current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u, "
		"namespace: n}}]\nclusters: [{name: k, cluster: {server: \"https://[::1]\", "
		"certificate-authority: ca, tls-server-name: t, proxy-url: \"http://p\"}}]\n"
		"users: [{name: u, user: {client-certificate-data: "
		"LS0tLS1CRUdJTiBYLS0tLS0K, client-key: k, exec: {apiVersion: "
		"client.authentication.k8s.io/v1, command: ./x, args: [a], env: [{name: A, "
		"value: b}]}}}]\n";
	cleanup_kube_config struct kube_config c = KUBE_CONFIG_NULL;
	int r = kube_config_parse(
		(struct bytes){ text, strlen(text) }, "/etc/config", NULL, &c, NULL);

	if (r == 0)
		CHECK(c.host && c.ca_file && c.cert_pem && c.key_file && c.exec.args[0] &&
			c.exec.env[0] && c.tls_server_name && c.proxy && c.namespace);
	return r;
}

static int credential(void)
{
	static const char text[] = "{\"apiVersion\": \"client.authentication.k8s.io/v1\", "
				   "\"kind\": \"ExecCredential\", \"status\": {\"token\": \"t\", "
				   "\"clientCertificateData\": \"c\", \"clientKeyData\": \"k\"}}";
	cleanup_kube_credential struct kube_credential c = KUBE_CREDENTIAL_NULL;
	int r = kube_credential_parse(
		(struct bytes){ text, strlen(text) }, "client.authentication.k8s.io/v1", &c, NULL);

	if (r == 0)
		CHECK(c.token && c.cert_pem && c.key_pem);
	return r;
}

static int path(void)
{
	struct kube_ref ref = { { "g", "v1", "things" }, "n", "a", NULL };
	cleanup_free char *made = NULL;
	int r = kube_path(&ref, &made, NULL);

	return r == 0 ? kube_path_add(&made, "a", "b c", NULL) : r;
}

static int known(void)
{
	struct kube_meta m = { "n", "a", "1", "5" };
	struct kube_known k;
	struct kube_gone gone;
	enum kube_news news;
	int r = kube_known_init(&k, NULL);

	if (r == 0)
		r = kube_known_put(&k, &m, &news, &gone, NULL);
	if (r == 0)
		r = kube_known_begin_list(&k, NULL);
	m.uid = "2";
	if (r == 0)
		r = kube_known_put(&k, &m, &news, &gone, NULL);
	if (r == 0)
		CHECK(news == KUBE_NEWS_REPLACED && !kube_known_next_missing(&k, &gone));
	kube_known_fini(&k);
	return r;
}

TEST(a_kubeconfig_that_memory_ran_out_for_is_not_half_a_kubeconfig)
{
	sweep(kubeconfig, -ENOMEM);
}

TEST(a_credential_that_memory_ran_out_for_is_none)
{
	sweep(credential, 0);
}

TEST(a_path_that_memory_ran_out_for_is_none)
{
	sweep(path, -ENOMEM);
}

TEST(what_memory_ran_out_for_is_said_to_be_unknown)
{
	sweep(known, -ENOMEM);
}
