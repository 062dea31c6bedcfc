// SPDX-License-Identifier: Apache-2.0
/*
 * The kubeconfig document: clusters, users and contexts are lists of named entries; a context
 * names one of each. Unknown fields are passed over, as kubectl does; fields that would change
 * how we speak to the server, and that we do not have, are refused by name.
 */
#include "cluster/kube/config_private.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "cluster/kube/base64.h"
#include "cluster/kube/tree.h"

#define PLACE_MAX 96
#define EXEC_LIST_MAX 256
#define HOST_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-."

/* The document, and where in it we are: "users[2].user". */
struct place {
	const char *origin;
	const json_t *map;
	char path[PLACE_MAX];
};

static int fault(const struct place *p, struct err *err, const char *key, const char *why)
{
	return err_set(
		err, -EINVAL, "%s: %s%s%s: %s", p->origin, p->path, *p->path ? "." : "", key, why);
}

static int no_memory(struct err *err)
{
	return err_set(err, -ENOMEM, "out of memory");
}

/* A field that is not there, or null, leaves *ret as it was. */
static int get_text(const struct place *p, const char *key, const char **ret, struct err *err)
{
	const json_t *value = json_object_get(p->map, key);

	if (!value || json_is_null(value))
		return 0;
	if (!json_is_string(value))
		return fault(p, err, key, "this is to be a text");
	*ret = json_string_value(value);
	return 0;
}

static int get_bool(const struct place *p, const char *key, bool *ret, struct err *err)
{
	const json_t *value = json_object_get(p->map, key);

	if (!value || json_is_null(value))
		return 0;
	if (!json_is_boolean(value))
		return fault(p, err, key, "write true or false");
	*ret = json_is_true(value);
	return 0;
}

static int copy_text(const struct place *p, const char *key, char **ret, struct err *err)
{
	const char *text = NULL;
	int r = get_text(p, key, &text, err);

	if (r < 0 || !text || !*text)
		return r;
	*ret = strdup(text);
	return *ret ? 0 : no_memory(err);
}

static char *beside(const char *origin, const char *file)
{
	const char *slash = strrchr(origin, '/');
	char *path = NULL;

	if (file[0] == '/' || !slash)
		return strdup(file);
	if (asprintf(&path, "%.*s/%s", (int)(slash - origin), origin, file) < 0)
		return NULL;
	return path;
}

static int copy_file(const struct place *p, const char *key, char **ret, struct err *err)
{
	const char *text = NULL;
	int r = get_text(p, key, &text, err);

	if (r < 0 || !text || !*text)
		return r;
	*ret = beside(p->origin, text);
	return *ret ? 0 : no_memory(err);
}

static int copy_pem(const struct place *p, const char *key, char **ret, struct err *err)
{
	const char *text = NULL;
	size_t len = 0;
	int r = get_text(p, key, &text, err);

	if (r < 0 || !text || !*text)
		return r;
	r = kube_base64_decode(text, ret, &len);
	if (r == -EINVAL)
		return fault(p, err, key, "this is not base64");
	if (r < 0)
		return no_memory(err);
	if (strlen(*ret) != len || !strstr(*ret, "-----BEGIN "))
		return fault(p, err, key, "this is no certificate or key in PEM form");
	return 0;
}

/* KEY and KEY-data: client-go lets the data win; we ask which one is meant. */
static int file_or_data(
	const struct place *p, const char *key, char **file, char **pem, struct err *err)
{
	char data[48];
	int r = copy_file(p, key, file, err);

	snprintf(data, sizeof(data), "%s-data", key);
	if (r == 0)
		r = copy_pem(p, data, pem, err);
	if (r == 0 && *file && *pem)
		return fault(p, err, key, "the same is also given as data; keep one of the two");
	return r;
}

/*
 * The entry of LIST with that name, and in it the map KEY: clusters[1].cluster. `wanted_by` is the
 * field that holds the name.
 */
static int enter(const struct place *root, const char *list, const char *key, const char *name,
	const char *wanted_by, struct place *ret, struct err *err)
{
	const json_t *entries = json_object_get(root->map, list);
	char quoted[TEXT_QUOTE_MAX];

	if (entries && !json_is_array(entries))
		return fault(root, err, list, "this is to be a list");
	for (size_t i = 0; i < json_array_size(entries); i++) {
		const json_t *entry = json_array_get(entries, i);
		const char *found = json_string_value(json_object_get(entry, "name"));

		if (!found || strcmp(found, name) != 0)
			continue;
		ret->origin = root->origin;
		ret->map = json_object_get(entry, key);
		snprintf(ret->path, sizeof(ret->path), "%s[%zu].%s", list, i, key);
		if (!json_is_object(ret->map))
			return err_set(err, -EINVAL, "%s: %s: this is to be a map of fields",
				root->origin, ret->path);
		return 0;
	}
	return err_set(err, -EINVAL, "%s: %s: there is no entry with the name %s in %s",
		root->origin, wanted_by, text_quote(quoted, name), list);
}

static int check_proxy(const struct place *p, const char *proxy, struct err *err)
{
	if (!proxy || strncmp(proxy, "http://", 7) == 0 || strncmp(proxy, "https://", 8) == 0 ||
		strncmp(proxy, "socks5://", 9) == 0)
		return 0;
	return fault(p, err, "proxy-url", "write http://, https:// or socks5:// and the host");
}

static int read_cluster(const struct place *p, struct kube_config *c, struct err *err)
{
	const char *server = NULL;
	struct err why = ERR_NULL;
	int r = get_text(p, "server", &server, err);

	if (r < 0)
		return r;
	if (!server)
		return fault(p, err, "server", "this is missing; write https://HOST:PORT");
	r = kube_config_set_server(c, server, &why);
	if (r == -EINVAL)
		return fault(p, err, "server", why.text);
	if (r < 0)
		return no_memory(err);
	r = file_or_data(p, "certificate-authority", &c->ca_file, &c->ca_pem, err);
	if (r == 0)
		r = copy_text(p, "tls-server-name", &c->tls_server_name, err);
	if (r == 0 && c->tls_server_name &&
		strspn(c->tls_server_name, HOST_CHARACTERS) != strlen(c->tls_server_name))
		return fault(p, err, "tls-server-name", "this is no host name");
	if (r == 0)
		r = copy_text(p, "proxy-url", &c->proxy, err);
	if (r == 0)
		r = check_proxy(p, c->proxy, err);
	if (r == 0)
		r = get_bool(p, "insecure-skip-tls-verify", &c->insecure, err);
	if (r == 0 && c->insecure && (c->ca_file || c->ca_pem))
		return fault(p, err, "insecure-skip-tls-verify",
			"with a certificate authority this has no sense; drop one of the two");
	return r;
}

static int list_size(const struct place *p, const char *key, size_t *ret, struct err *err)
{
	const json_t *list = json_object_get(p->map, key);

	*ret = json_array_size(list);
	if (list && !json_is_null(list) && !json_is_array(list))
		return fault(p, err, key, "this is to be a list");
	if (*ret > EXEC_LIST_MAX)
		return fault(p, err, key, "this list is too long");
	return 0;
}

static int read_args(const struct place *p, char ***ret, struct err *err)
{
	const json_t *list = json_object_get(p->map, "args");
	size_t n;
	int r = list_size(p, "args", &n, err);

	if (r < 0)
		return r;
	*ret = calloc(n + 1, sizeof(**ret));
	if (!*ret)
		return no_memory(err);
	for (size_t i = 0; i < n; i++) {
		const json_t *arg = json_array_get(list, i);

		if (!json_is_string(arg))
			return fault(p, err, "args",
				"write texts, in quotes where they look "
				"like true, false or null");
		(*ret)[i] = strdup(json_string_value(arg));
		if (!(*ret)[i])
			return no_memory(err);
	}
	return 0;
}

static int read_env(const struct place *p, char ***ret, struct err *err)
{
	const json_t *list = json_object_get(p->map, "env");
	size_t n;
	int r = list_size(p, "env", &n, err);

	if (r < 0)
		return r;
	*ret = calloc(n + 1, sizeof(**ret));
	if (!*ret)
		return no_memory(err);
	for (size_t i = 0; i < n; i++) {
		const json_t *entry = json_array_get(list, i);
		const char *name = json_string_value(json_object_get(entry, "name"));
		const char *value = json_string_value(json_object_get(entry, "value"));

		if (!name || !*name || strchr(name, '=') || !value)
			return fault(p, err, "env", "each entry has a name and a value, as texts");
		if (asprintf(&(*ret)[i], "%s=%s", name, value) < 0) {
			(*ret)[i] = NULL;
			return no_memory(err);
		}
	}
	return 0;
}

static int check_exec(const struct place *p, const struct kube_exec *x, struct err *err)
{
	const char *mode = NULL;
	bool cluster_info = false;
	int r = get_text(p, "interactiveMode", &mode, err);

	if (r == 0)
		r = get_bool(p, "provideClusterInfo", &cluster_info, err);
	if (r < 0)
		return r;
	if (!x->command)
		return fault(p, err, "command", "this is missing");
	if (!x->api_version ||
		(strcmp(x->api_version, "client.authentication.k8s.io/v1") != 0 &&
			strcmp(x->api_version, "client.authentication.k8s.io/v1beta1") != 0))
		return fault(p, err, "apiVersion", "write client.authentication.k8s.io/v1");
	if (mode && strcmp(mode, "Always") == 0)
		return fault(p, err, "interactiveMode",
			"there is no terminal here; choose a command that needs none");
	if (cluster_info)
		return fault(p, err, "provideClusterInfo",
			"this is not offered here; give the command what it needs as arguments");
	return 0;
}

static int read_exec(const struct place *user, struct kube_config *c, struct err *err)
{
	struct kube_exec *x = &c->exec;
	struct place p = *user;
	int r;

	p.map = json_object_get(user->map, "exec");
	if (!p.map || json_is_null(p.map))
		return 0;
	if (!json_is_object(p.map))
		return fault(user, err, "exec", "this is to be a map of fields");
	snprintf(p.path, sizeof(p.path), "%.80s.exec", user->path);
	r = copy_text(&p, "apiVersion", &x->api_version, err);
	if (r == 0)
		r = copy_text(&p, "command", &x->command, err);
	if (r == 0 && x->command && strchr(x->command, '/')) {
		free(TAKE(x->command));
		r = copy_file(&p, "command", &x->command, err);
	}
	if (r == 0)
		r = copy_text(&p, "installHint", &x->install_hint, err);
	if (r == 0)
		r = read_args(&p, &x->args, err);
	if (r == 0)
		r = read_env(&p, &x->env, err);
	if (r == 0)
		r = check_exec(&p, x, err);
	if (r == 0 && (c->token || c->token_file))
		return fault(user, err, "exec", "there is a token, too; keep one of the two");
	return r;
}

static int refuse_unknown_ways(const struct place *p, struct err *err)
{
	static const char *const ways[] = { "auth-provider", "username", "password", "as", "as-uid",
		"as-groups", "as-user-extra" };

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
		if (json_object_get(p->map, ways[i]))
			return fault(p, err, ways[i],
				"this is not offered here; use a client certificate, a token, "
				"tokenFile or exec");
	return 0;
}

static int read_user(const struct place *p, struct kube_config *c, struct err *err)
{
	int r = refuse_unknown_ways(p, err);

	if (r == 0)
		r = file_or_data(p, "client-certificate", &c->cert_file, &c->cert_pem, err);
	if (r == 0)
		r = file_or_data(p, "client-key", &c->key_file, &c->key_pem, err);
	if (r == 0 && !(c->cert_file || c->cert_pem) != !(c->key_file || c->key_pem))
		return fault(p, err,
			c->key_file || c->key_pem ? "client-certificate" : "client-key",
			"a client certificate and its key come together; one is missing");
	if (r == 0)
		r = copy_text(p, "token", &c->token, err);
	if (r == 0)
		r = copy_file(p, "tokenFile", &c->token_file, err);
	return r == 0 ? read_exec(p, c, err) : r;
}

static int read_context(
	const struct place *root, const char *context, struct kube_config *c, struct err *err)
{
	const char *by = context ? "context" : "current-context";
	const char *cluster = NULL, *user = NULL;
	struct place at, in;
	int r = context ? 0 : get_text(root, "current-context", &context, err);

	if (r < 0)
		return r;
	if (!context || !*context)
		return fault(root, err, "current-context", "this is missing; name a context");
	r = enter(root, "contexts", "context", context, by, &at, err);
	if (r == 0)
		r = get_text(&at, "cluster", &cluster, err);
	if (r == 0)
		r = get_text(&at, "user", &user, err);
	if (r == 0)
		r = copy_text(&at, "namespace", &c->namespace, err);
	if (r < 0)
		return r;
	if (!cluster)
		return fault(&at, err, "cluster", "this is missing; name a cluster");
	snprintf(at.path + strlen(at.path), sizeof(at.path) - strlen(at.path), ".cluster");
	r = enter(root, "clusters", "cluster", cluster, at.path, &in, err);
	if (r == 0)
		r = read_cluster(&in, c, err);
	if (r < 0 || !user || !*user)
		return r;
	snprintf(strrchr(at.path, '.'), sizeof(".cluster"), ".user");
	r = enter(root, "users", "user", user, at.path, &in, err);
	return r == 0 ? read_user(&in, c, err) : r;
}

int kube_config_parse(struct bytes text, const char *origin, const char *context,
	struct kube_config *ret, struct err *err)
{
	cleanup_kube_config struct kube_config c = KUBE_CONFIG_NULL;
	cleanup_json json_t *tree = NULL;
	struct place root = { .origin = origin };
	int r = kube_tree_parse(text, &tree, err);

	if (r < 0)
		return err_wrap(err, r, "%s", origin);
	if (!json_is_object(tree))
		return err_set(err, -EINVAL, "%s: this is no kubeconfig", origin);
	root.map = tree;
	r = read_context(&root, context, &c, err);
	if (r < 0)
		return r;
	*ret = c;
	c = KUBE_CONFIG_NULL;
	return 0;
}
