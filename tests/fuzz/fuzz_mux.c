// SPDX-License-Identifier: Apache-2.0
/*
 * What a runtime sends on NRI's socket, through the multiplexer, ttrpc and the plugin. The first
 * byte says in which pieces it comes; what is heard and answered must not depend on that.
 */
#include "cluster/wire/nri/plugin.h"

#include "fuzz/fuzz.h"

struct run {
	struct nri_plugin *plugin;
	unsigned heard; /* a sum over all that was told, in its order */
	int result;
};

static void hear(struct run *r, const char *text)
{
	FUZZ_CHECK(text);
	for (; *text; text++)
		r->heard = r->heard * 31 + (unsigned char)*text;
	r->heard = r->heard * 31 + 1;
}

static void hear_pod(void *user, const struct nri_pod *p)
{
	hear(user, p->id);
	hear(user, p->name);
	hear(user, p->uid);
	hear(user, p->namespace);
	hear(user, p->cgroup_parent);
}

static void hear_container(struct run *r, const struct nri_container *c)
{
	hear(r, c->id);
	hear(r, c->pod_id);
	hear(r, c->name);
	hear(r, c->cgroups_path);
	hear(r, c->cpus);
	hear(r, c->new_cpus);
	for (size_t i = 0; i < c->n_env; i++)
		hear(r, c->env[i]);
	for (size_t i = 0; i < c->n_cdi_devices; i++)
		hear(r, c->cdi_devices[i]);
	FUZZ_CHECK(c->state <= NRI_CONTAINER_STOPPED);
	r->heard += c->pid + c->scheduler.policy + c->scheduler.runtime_ns;
}

static void on_known_container(void *user, const struct nri_container *c)
{
	hear_container(user, c);
}

static void on_configured(void *user, const struct nri_runtime *runtime)
{
	hear(user, runtime->name);
	hear(user, runtime->version);
	hear(user, runtime->nri_version);
	hear(user, runtime->config);
}

static void on_synchronized(void *user)
{
	hear(user, "all");
}

/* Some calls are left open. */
static void on_create(
	void *user, uint64_t call, const struct nri_pod *p, const struct nri_container *c)
{
	struct nri_variable env = { c->id, c->name };
	struct nri_adjustment a = {
		.env = &env,
		.n_env = 1,
		.cdi_devices = c->cdi_devices,
		.n_cdi_devices = c->n_cdi_devices,
		.cpus = c->cpus,
		.scheduler = c->scheduler,
	};
	struct run *r = user;

	hear_pod(r, p);
	hear_container(r, c);
	if (c->id[0] == 'r')
		nri_plugin_refuse(r->plugin, call, c->id, NULL);
	else if (c->id[0] != 'l')
		nri_plugin_adjust(r->plugin, call, &a, NULL);
}

static void on_updated(
	void *user, const char *const *failed, size_t n_failed, const struct err *err)
{
	hear(user, err ? err->text : "updated");
	for (size_t i = 0; i < n_failed; i++)
		hear(user, failed[i]);
}

static void on_container(void *user, const struct nri_pod *p, const struct nri_container *c)
{
	struct nri_update update = { c->id, c->new_cpus, false };
	struct run *r = user;

	hear_pod(r, p);
	hear_container(r, c);
	if (c->id[0] == 'u')
		nri_plugin_update(r->plugin, &update, 1, on_updated, r, NULL);
}

static void on_shutdown(void *user)
{
	hear(user, "shutdown");
}

static const struct nri_handlers handlers = {
	.configured = on_configured,
	.known_pod = hear_pod,
	.known_container = on_known_container,
	.synchronized = on_synchronized,
	.create_container = on_create,
	.container_created = on_container,
	.container_starting = on_container,
	.container_started = on_container,
	.container_updating = on_container,
	.container_updated = on_container,
	.container_stopped = on_container,
	.container_removed = on_container,
	.pod_started = hear_pod,
	.pod_updating = hear_pod,
	.pod_stopped = hear_pod,
	.pod_removed = hear_pod,
	.shutdown = on_shutdown,
};

static void run(struct run *r, const char *at, size_t len, size_t step)
{
	struct nri_identity id = { "fuzz", "00" };
	struct err err = ERR_NULL;

	*r = (struct run){ 0 };
	FUZZ_CHECK(nri_plugin_create(&id, &handlers, r, &r->plugin, NULL) == 0);
	FUZZ_CHECK(nri_plugin_connected(r->plugin, NULL) == 0);
	while (len > 0 && r->result == 0) {
		struct bytes in = { at, len < step ? len : step };

		r->result = nri_plugin_feed(r->plugin, in, &err);
		at += in.len;
		len -= in.len;
	}
	FUZZ_CHECK(r->result <= 0 && (r->result < 0) == (err.text[0] != '\0'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run whole, pieces;
	struct bytes x, y;

	if (size < 2)
		return 0;
	run(&whole, (const char *)data + 1, size - 1, size);
	run(&pieces, (const char *)data + 1, size - 1, data[0] % 64 + 1);
	FUZZ_CHECK(whole.result == pieces.result && whole.heard == pieces.heard);
	x = nri_plugin_output(whole.plugin);
	y = nri_plugin_output(pieces.plugin);
	FUZZ_CHECK(x.len == y.len && memcmp(x.at, y.at, x.len) == 0);
	nri_plugin_destroy(whole.plugin);
	nri_plugin_destroy(pieces.plugin);
	return 0;
}
