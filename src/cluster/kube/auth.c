// SPDX-License-Identifier: Apache-2.0
#include "cluster/kube/auth.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "cluster/kube/exec.h"

void kube_auth_init(struct kube_auth *a, uv_loop_t *loop, const struct kube_config *config,
	void (*ready)(void *data, int code, const struct err *why), void *data)
{
	*a = (struct kube_auth){ .loop = loop, .config = config, .ready = ready, .data = data };
}

void kube_auth_fini(struct kube_auth *a)
{
	kube_run_cancel(TAKE(a->run));
	kube_credential_fini(&a->now);
}

static void take(struct kube_auth *a, struct kube_credential *c)
{
	kube_credential_fini(&a->now);
	a->now = *c;
	*c = KUBE_CREDENTIAL_NULL;
	a->have = true;
	a->refused = false;
	a->generation++;
}

static int take_token(struct kube_auth *a, char *text, struct err *err)
{
	cleanup_kube_credential struct kube_credential c = KUBE_CREDENTIAL_NULL;
	int r = kube_token_trim(text, err);

	if (r < 0)
		return r;
	if (a->have && a->now.token && strcmp(a->now.token, text) == 0)
		return 0;
	c.token = strdup(text);
	if (!c.token)
		return err_set(err, -ENOMEM, "out of memory");
	take(a, &c);
	return 0;
}

static int read_token_file(struct kube_auth *a, struct err *err)
{
	const char *path = a->config->token_file;
	cleanup_free char *text = NULL;
	size_t len = 0;
	int r = file_read_linked(path, KUBE_TOKEN_MAX_BYTES, &text, &len, err);

	if (r < 0)
		return err_wrap(err, r, "the token for the API server");
	r = take_token(a, text, err);
	return r < 0 ? err_wrap(err, r, "%s", path) : 0;
}

static int take_fixed(struct kube_auth *a, struct err *err)
{
	cleanup_free char *text = NULL;
	struct kube_credential none = KUBE_CREDENTIAL_NULL;
	int r;

	if (!a->config->token) {
		take(a, &none);
		return 0;
	}
	text = strdup(a->config->token);
	if (!text)
		return err_set(err, -ENOMEM, "out of memory");
	r = take_token(a, text, err);
	return r < 0 ? err_wrap(err, r, "the kubeconfig's token") : 0;
}

static int ask_token_file(struct kube_auth *a, struct err *err)
{
	uint64_t now_ms = uv_now(a->loop);
	int r;

	if (a->have && !kube_token_due(now_ms - a->read_at_ms, a->refused))
		return 0;
	a->read_at_ms = now_ms;
	a->refused = false;
	r = read_token_file(a, err);
	if (r == 0 || a->have)
		return 0;
	return a->config->token ? take_fixed(a, err) : r;
}

static void on_printed(void *data, int code, struct bytes output, const struct err *why)
{
	cleanup_kube_credential struct kube_credential c = KUBE_CREDENTIAL_NULL;
	struct kube_auth *a = data;
	struct err err = *why;
	int r = code;

	a->run = NULL;
	if (r == 0) {
		r = kube_credential_parse(output, a->config->exec.api_version, &c, &err);
		if (r < 0)
			err_wrap(&err, r, "%s", a->config->exec.command);
	}
	if (r == 0 && !kube_credential_fresh(&c, time(NULL)))
		r = err_set(&err, -EKEYEXPIRED, "%s printed a credential that has expired",
			a->config->exec.command);
	if (r == 0)
		take(a, &c);
	a->ready(a->data, r, &err);
}

static int ask_plugin(struct kube_auth *a, struct err *err)
{
	int r;

	if (a->run)
		return 1;
	if (a->have && !a->refused && kube_credential_fresh(&a->now, time(NULL)))
		return 0;
	r = kube_run_start(&a->run, a->loop, &a->config->exec, on_printed, a, err);
	return r < 0 ? r : 1;
}

int kube_auth_ask(struct kube_auth *a, struct err *err)
{
	if (a->config->exec.command)
		return ask_plugin(a, err);
	if (a->config->token_file)
		return ask_token_file(a, err);
	return a->have ? 0 : take_fixed(a, err);
}

bool kube_auth_refused(struct kube_auth *a, unsigned generation)
{
	if (generation != a->generation)
		return true;
	if (!a->config->exec.command && !a->config->token_file)
		return false;
	a->refused = true;
	if (a->config->exec.command)
		return true;
	return kube_auth_ask(a, NULL) == 0 && generation != a->generation;
}
