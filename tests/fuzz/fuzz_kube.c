// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzz target: what the API server's client reads: a kubeconfig, the lines of a watch, a Status,
 * an exec plugin's credential. Lines must be the same wherever the bytes are cut, and what is known
 * after a list must be what the list had.
 */
#include "cluster/kube/config.h"
#include "cluster/kube/credential.h"
#include "cluster/kube/event.h"
#include "cluster/kube/lines.h"
#include "cluster/kube/path.h"
#include "cluster/kube/status.h"
#include "fuzz/fuzz.h"

#define LINE_MAX_BYTES 4096

static void kubeconfig(struct bytes text)
{
	cleanup_kube_config struct kube_config c = KUBE_CONFIG_NULL;
	struct err err = ERR_NULL;

	if (kube_config_parse(text, "/x/config", NULL, &c, &err) < 0) {
		FUZZ_CHECK(strncmp(err.text, "/x/config: ", 11) == 0);
		FUZZ_CHECK(!c.server);
		return;
	}
	FUZZ_CHECK(strncmp(c.server, "https://", 8) == 0 && c.host && c.port);
	FUZZ_CHECK(!(c.insecure && (c.ca_file || c.ca_pem)));
	FUZZ_CHECK(!(c.cert_file || c.cert_pem) == !(c.key_file || c.key_pem));
}

static void credential(struct bytes text)
{
	cleanup_kube_credential struct kube_credential c = KUBE_CREDENTIAL_NULL;
	struct err err = ERR_NULL;

	if (kube_credential_parse(text, "client.authentication.k8s.io/v1", &c, &err) < 0) {
		FUZZ_CHECK(err.text[0]);
		return;
	}
	FUZZ_CHECK(c.token || c.cert_pem);
	FUZZ_CHECK(!c.token || !strpbrk(c.token, "\r\n"));
}

static void answer(struct bytes text)
{
	static const unsigned numbers[] = { 200, 404, 409, 410, 429, 500 };
	cleanup_json json_t *object = json_loadb(text.at, text.len, 0, NULL);
	struct kube_status s;

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		kube_status_read(numbers[i], text, &s);
		FUZZ_CHECK((s.code == 0) == (numbers[i] == 200));
	}
	kube_status_of(object, &s);
	FUZZ_CHECK(s.code < 0 && s.retry_after_s <= 3600);
}

static void path(const char *text)
{
	struct kube_ref ref = { { "g", "v1", "things" }, "n", text, NULL };
	cleanup_free char *made = NULL;

	if (kube_path(&ref, &made, NULL) < 0)
		return;
	FUZZ_CHECK(strncmp(made, "/apis/g/v1/namespaces/n/things/", 31) == 0);
	FUZZ_CHECK(!strpbrk(made + 31, "/?#& \r\n"));
	FUZZ_CHECK(kube_path_add(&made, "x", text, NULL) == 0);
}

/* A number that stands for the lines that came out, and how it ended. */
static uint64_t cut(struct bytes text, size_t step)
{
	struct kube_lines l = KUBE_LINES(LINE_MAX_BYTES);
	uint64_t sum = 14695981039346656037ULL;
	struct bytes line;
	int r = 0;

	while (text.len > 0 && r >= 0) {
		size_t n = text.len < step ? text.len : step;

		FUZZ_CHECK(kube_lines_feed(&l, (struct bytes){ text.at, n }) == 0);
		text = bytes_skip(text, n);
		while ((r = kube_lines_next(&l, &line)) == 1) {
			FUZZ_CHECK(line.len <= LINE_MAX_BYTES);
			for (size_t i = 0; i < line.len; i++)
				sum = (sum ^ (unsigned char)line.at[i]) * 1099511628211ULL;
			sum = (sum ^ 256) * 1099511628211ULL;
		}
	}
	kube_lines_fini(&l);
	return r < 0 ? 0 : sum;
}

static void event(struct kube_known *k, struct bytes line, size_t *ret_listed)
{
	cleanup_kube_event struct kube_event e = KUBE_EVENT_NULL;
	enum kube_news news = KUBE_NEWS_NOTHING;
	struct kube_gone gone;

	if (kube_event_parse(line, &e, NULL) < 0 || e.type == KUBE_EVENT_ERROR ||
		e.type == KUBE_EVENT_BOOKMARK)
		return;
	if (e.type == KUBE_EVENT_DELETED) {
		kube_known_drop(k, &e.meta, &gone);
		FUZZ_CHECK(kube_known_drop(k, &e.meta, &gone) == KUBE_NEWS_NOTHING);
		return;
	}
	FUZZ_CHECK(kube_known_put(k, &e.meta, &news, &gone, NULL) == 0);
	FUZZ_CHECK(kube_known_put(k, &e.meta, &news, &gone, NULL) == 0);
	FUZZ_CHECK(news == KUBE_NEWS_MODIFIED);
	*ret_listed = json_object_size(k->fresh);
}

static void stream(struct bytes text)
{
	struct kube_lines l = KUBE_LINES(LINE_MAX_BYTES);
	struct kube_known k;
	struct kube_gone gone;
	struct bytes line;
	size_t listed = 0, half = text.len / 2;

	FUZZ_CHECK(kube_known_init(&k, NULL) == 0);
	FUZZ_CHECK(kube_lines_feed(&l, (struct bytes){ text.at, half }) == 0);
	while (kube_lines_next(&l, &line) == 1)
		event(&k, line, &listed);
	FUZZ_CHECK(kube_known_begin_list(&k, NULL) == 0);
	FUZZ_CHECK(kube_lines_feed(&l, bytes_skip(text, half)) == 0);
	listed = 0;
	while (kube_lines_next(&l, &line) == 1)
		event(&k, line, &listed);
	while (kube_known_next_missing(&k, &gone))
		FUZZ_CHECK(gone.name[0]);
	FUZZ_CHECK(json_object_size(k.uids) == listed);
	kube_known_fini(&k);
	kube_lines_fini(&l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = { (const char *)data, size };
	cleanup_free char *text = fuzz_text(data, size);
	uint64_t whole = cut(in, size ? size : 1);

	kubeconfig(in);
	credential(in);
	answer(in);
	path(text);
	FUZZ_CHECK(cut(in, 1) == whole && cut(in, 13) == whole);
	stream(in);
	return 0;
}
