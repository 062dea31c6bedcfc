// SPDX-License-Identifier: Apache-2.0
#include "cluster/kube/config.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "cluster/kube/config_private.h"

#define NAMESPACE_MAX_BYTES 256
#define SCHEME "https://"

CLEANUP_DEFINE(CURLU *, curl_url_cleanup)
CLEANUP_DEFINE(char *, curl_free)
#define cleanup_url __attribute__((cleanup(curl_url_cleanup_p)))
#define cleanup_curl_text __attribute__((cleanup(curl_free_p)))

static void list_free(char **list)
{
	for (char **at = list; at && *at; at++)
		free(*at);
	free(list);
}

void kube_config_fini(struct kube_config *c)
{
	char *texts[] = { c->server, c->host, c->port, c->tls_server_name, c->proxy, c->ca_file,
		c->ca_pem, c->cert_file, c->cert_pem, c->key_file, c->key_pem, c->token,
		c->token_file, c->namespace, c->exec.api_version, c->exec.command,
		c->exec.install_hint };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		free(texts[i]);
	list_free(c->exec.args);
	list_free(c->exec.env);
	*c = KUBE_CONFIG_NULL;
}

bool kube_host_is_loopback(const char *host)
{
	struct in_addr v4;
	struct in6_addr v6;

	if (inet_pton(AF_INET, host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	if (inet_pton(AF_INET6, host, &v6) == 1)
		return IN6_IS_ADDR_LOOPBACK(&v6);
	return strcasecmp(host, "localhost") == 0;
}

static bool url_has(CURLU *url, CURLUPart part)
{
	cleanup_curl_text char *text = NULL;

	return curl_url_get(url, part, &text, 0) == CURLUE_OK;
}

static int take_host(CURLU *url, struct kube_config *c, struct err *err)
{
	cleanup_curl_text char *host = NULL, *port = NULL;
	size_t len;

	if (curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
		curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK)
		return err_set(err, -ENOMEM, "out of memory");
	len = strlen(host);
	c->host = host[0] == '[' && len > 2 ? strndup(host + 1, len - 2) : strdup(host);
	c->port = strdup(port);
	if (!c->host || !c->port)
		return err_set(err, -ENOMEM, "out of memory");
	c->loopback = kube_host_is_loopback(c->host);
	return 0;
}

int kube_config_set_server(struct kube_config *c, const char *server, struct err *err)
{
	cleanup_url CURLU *url = curl_url();
	size_t len = strlen(server);

	if (!url)
		return err_set(err, -ENOMEM, "out of memory");
	/* libcurl would also take one slash, or three. */
	if (strncmp(server, SCHEME, strlen(SCHEME)) != 0 || server[strlen(SCHEME)] == '/' ||
		curl_url_set(url, CURLUPART_URL, server, 0) != CURLUE_OK)
		return err_set(err, -EINVAL, "write https://HOST:PORT");
	if (url_has(url, CURLUPART_USER) || url_has(url, CURLUPART_QUERY) ||
		url_has(url, CURLUPART_FRAGMENT))
		return err_set(err, -EINVAL, "write https://HOST:PORT without user, ? and #");
	while (len > 0 && server[len - 1] == '/')
		len--;
	c->server = strndup(server, len);
	if (!c->server)
		return err_set(err, -ENOMEM, "out of memory");
	return take_host(url, c, err);
}

int kube_config_read(
	const char *file, const char *context, struct kube_config *ret, struct err *err)
{
	cleanup_free char *text = NULL;
	size_t len = 0;
	int r = file_read_linked(file, KUBE_CONFIG_MAX_BYTES, &text, &len, err);

	if (r < 0)
		return err_wrap(err, r, "the kubeconfig");
	return kube_config_parse((struct bytes){ text, len }, file, context, ret, err);
}

static int set_server_of_pod(
	struct kube_config *c, const char *host, const char *port, struct err *err)
{
	cleanup_free char *server = NULL;
	bool v6 = strchr(host, ':');
	int r;

	if (asprintf(&server, v6 ? "https://[%s]:%s" : "https://%s:%s", host, port) < 0) {
		server = NULL;
		return err_set(err, -ENOMEM, "out of memory");
	}
	r = kube_config_set_server(c, server, err);
	if (r == -EINVAL)
		return err_set(err, r,
			"KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are no host and port");
	return r;
}

int kube_config_of_pod(const char *host, const char *port, const char *folder,
	struct kube_config *ret, struct err *err)
{
	cleanup_kube_config struct kube_config c = KUBE_CONFIG_NULL;
	int r;

	if (!host || !*host || !port || !*port)
		return err_set(err, -ENOENT,
			"this is not a pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are "
			"not set; outside of a cluster name a kubeconfig");
	r = set_server_of_pod(&c, host, port, err);
	if (r < 0)
		return r;
	if (asprintf(&c.ca_file, "%s/ca.crt", folder) < 0)
		c.ca_file = NULL;
	if (asprintf(&c.token_file, "%s/token", folder) < 0)
		c.token_file = NULL;
	if (!c.ca_file || !c.token_file)
		return err_set(err, -ENOMEM, "out of memory");
	*ret = c;
	c = KUBE_CONFIG_NULL;
	return 0;
}

/* Not every service account is given one. */
static int read_namespace(const char *folder, struct kube_config *c, struct err *err)
{
	cleanup_free char *path = NULL;
	size_t len = 0;

	if (asprintf(&path, "%s/namespace", folder) < 0) {
		path = NULL;
		return err_set(err, -ENOMEM, "out of memory");
	}
	if (file_read_linked(path, NAMESPACE_MAX_BYTES, &c->namespace, &len, NULL) == 0)
		c->namespace[strcspn(c->namespace, "\r\n")] = '\0';
	return 0;
}

int kube_config_in_cluster(const char *folder, struct kube_config *ret, struct err *err)
{
	cleanup_kube_config struct kube_config c = KUBE_CONFIG_NULL;
	cleanup_free char *text = NULL;
	size_t len = 0;
	int r;

	folder = folder ? folder : KUBE_SERVICE_ACCOUNT_DIR;
	r = kube_config_of_pod(getenv("KUBERNETES_SERVICE_HOST"), getenv("KUBERNETES_SERVICE_PORT"),
		folder, &c, err);
	if (r == 0)
		r = file_read_linked(c.ca_file, KUBE_CONFIG_MAX_BYTES, &text, &len, err);
	if (r == 0)
		r = read_namespace(folder, &c, err);
	if (r < 0)
		return err_wrap(err, r, "the service account of this pod");
	*ret = c;
	c = KUBE_CONFIG_NULL;
	return 0;
}
