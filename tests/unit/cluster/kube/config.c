// SPDX-License-Identifier: Apache-2.0
#include "cluster/kube/config.h"

#include <errno.h>

#include "test.h"

#define CONTEXT                                                        \
	"current-context: one\n"                                       \
	"contexts:\n"                                                  \
	"- {name: other, context: {cluster: nowhere, user: nobody}}\n" \
	"- {name: one, context: {cluster: here, user: me, namespace: work}}\n"
#define CLUSTER(fields) "clusters:\n- name: here\n  cluster: {" fields "}\n"
#define USER(fields) "users:\n- name: me\n  user: {" fields "}\n"
#define SERVER "server: \"https://127.0.0.1:6443/\""
#define PEM64 "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg=="
#define PEM "-----BEGIN CERTIFICATE-----\n"

static int parse(const char *text, struct kube_config *ret, struct err *err)
{
	return kube_config_parse(
		(struct bytes){ text, strlen(text) }, "/etc/k/config", NULL, ret, err);
}

static void check_fault(const char *text, const char *wanted)
{
	struct kube_config c = KUBE_CONFIG_NULL;
	struct err err = ERR_NULL;

	CHECK_EQ(parse(text, &c, &err), -EINVAL);
	CHECK(c.server == NULL);
	if (strncmp(err.text, wanted, strlen(wanted)) != 0)
		CHECK_TEXT(err.text, wanted);
}

TEST(the_current_context_names_cluster_user_and_namespace)
{
	cleanup_kube_config struct kube_config c = KUBE_CONFIG_NULL;

	CHECK_EQ(parse(CONTEXT CLUSTER(SERVER ", certificate-authority: ca.pem") USER(
			       "client-certificate-data: " PEM64 ", client-key: /keys/k.pem"),
			 &c, NULL),
		0);
	CHECK_TEXT(c.server, "https://127.0.0.1:6443");
	CHECK_TEXT(c.host, "127.0.0.1");
	CHECK_TEXT(c.port, "6443");
	CHECK_TEXT(c.ca_file, "/etc/k/ca.pem");
	CHECK_TEXT(c.cert_pem, PEM);
	CHECK_TEXT(c.key_file, "/keys/k.pem");
	CHECK_TEXT(c.namespace, "work");
	CHECK(c.loopback && !c.insecure && !c.token && !c.exec.command);
}

TEST(a_context_may_be_chosen)
{
	cleanup_kube_config struct kube_config c = KUBE_CONFIG_NULL;
	const char *text = "contexts: [{name: two, context: {cluster: here}}]\n" CLUSTER(SERVER);

	CHECK_EQ(kube_config_parse((struct bytes){ text, strlen(text) }, "f", "two", &c, NULL), 0);
	CHECK(c.server && !c.namespace);
}

TEST(json_is_a_kubeconfig_too)
{
	cleanup_kube_config struct kube_config c = KUBE_CONFIG_NULL;

	CHECK_EQ(parse("{\"current-context\": \"a\", \"contexts\": [{\"name\": \"a\", \"context\": "
		       "{\"cluster\": \"c\", \"user\": \"u\"}}], \"clusters\": [{\"name\": \"c\", "
		       "\"cluster\": {\"server\": \"https://[::1]\", "
		       "\"tls-server-name\": \"kubernetes\"}}], \"users\": [{\"name\": \"u\", "
		       "\"user\": {\"token\": \"t\"}}]}",
			 &c, NULL),
		0);
	CHECK_TEXT(c.host, "::1");
	CHECK_TEXT(c.port, "443");
	CHECK_TEXT(c.tls_server_name, "kubernetes");
	CHECK_TEXT(c.token, "t");
	CHECK(c.loopback);
}

TEST(an_exec_plugin_has_command_arguments_and_variables)
{
	cleanup_kube_config struct kube_config c = KUBE_CONFIG_NULL;

	CHECK_EQ(parse(CONTEXT CLUSTER(SERVER) USER(
			       "exec: {apiVersion: client.authentication.k8s.io/v1, command: "
			       "bin/login, args: [\"--for\", x], env: [{name: A, value: \"1\"}], "
			       "interactiveMode: Never, installHint: apt install login}"),
			 &c, NULL),
		0);
	CHECK_TEXT(c.exec.command, "/etc/k/bin/login");
	CHECK_TEXT(c.exec.args[0], "--for");
	CHECK_TEXT(c.exec.args[1], "x");
	CHECK(c.exec.args[2] == NULL);
	CHECK_TEXT(c.exec.env[0], "A=1");
	CHECK(c.exec.env[1] == NULL);
}

TEST(tls_is_checked_unless_the_file_says_otherwise)
{
	cleanup_kube_config struct kube_config c = KUBE_CONFIG_NULL;

	CHECK_EQ(parse(CONTEXT CLUSTER(SERVER ", insecure-skip-tls-verify: true") USER(""), &c,
			 NULL),
		0);
	CHECK(c.insecure);
	check_fault(CONTEXT CLUSTER(SERVER ", insecure-skip-tls-verify: \"true\"") USER(""),
		"/etc/k/config: clusters[0].cluster.insecure-skip-tls-verify: write true or false");
	check_fault(CONTEXT CLUSTER(SERVER ", insecure-skip-tls-verify: true, "
					   "certificate-authority: x") USER(""),
		"/etc/k/config: clusters[0].cluster.insecure-skip-tls-verify: ");
}

TEST(each_mistake_names_file_and_key)
{
	check_fault("a: [", "/etc/k/config: line ");
	check_fault("", "/etc/k/config: there is nothing in it");
	check_fault("[]", "/etc/k/config: this is no kubeconfig");
	check_fault("clusters: []", "/etc/k/config: current-context: this is missing");
	check_fault("current-context: x", "/etc/k/config: current-context: there is no entry with "
					  "the name \"x\" in contexts");
	check_fault("current-context: [x]", "/etc/k/config: current-context: this is to be a text");
	check_fault("current-context: x\ncontexts: {x: y}\n", "/etc/k/config: contexts: ");
	check_fault("current-context: x\ncontexts: [{name: x}]",
		"/etc/k/config: contexts[0].context: ");
	check_fault("current-context: x\ncontexts: [{name: x, context: {user: y}}]",
		"/etc/k/config: contexts[0].context.cluster: this is missing");
	check_fault(CONTEXT,
		"/etc/k/config: contexts[1].context.cluster: there is no entry with the "
		"name \"here\" in clusters");
	check_fault(
		CONTEXT CLUSTER(SERVER), "/etc/k/config: contexts[1].context.user: there is no");
	check_fault(CONTEXT CLUSTER("a: b"), "/etc/k/config: clusters[0].cluster.server: this is "
					     "missing");
	check_fault("a: 1\na: 2\n", "/etc/k/config: line 2: \"a\" is there twice");
	check_fault("a: &x 1\n", "/etc/k/config: line 1: anchors");
	check_fault("a: *x\n", "/etc/k/config: line 1: ");
	check_fault("? [a]\n: 1\n", "/etc/k/config: line 1: the name of a field is plain text");
}

TEST(only_https_servers_are_taken)
{
	static const char *const servers[] = { "http://x:80", "x:6443", "https://", "https://u:p@x",
		"https://x/?a=b", "https://x/#a", "https://x:99999", "ftp://x", "https://a b",
		"https:/x", "https:///x" };

	for (size_t i = 0; i < sizeof(servers) / sizeof(servers[0]); i++) {
		char text[512];

		snprintf(text, sizeof(text),
			CONTEXT "clusters: [{name: here, cluster: {server: \"%s\"}}]\n",
			servers[i]);
		check_fault(
			text, "/etc/k/config: clusters[0].cluster.server: write https://HOST:PORT");
	}
}

TEST(credentials_that_contradict_or_are_not_offered_are_refused)
{
#define FILE_(fields) CONTEXT CLUSTER(SERVER) USER(fields)
#define EXEC "exec: {apiVersion: client.authentication.k8s.io/v1, command: x"
	check_fault(FILE_("client-key: a"), "/etc/k/config: users[0].user.client-certificate: ");
	check_fault(FILE_("client-certificate: a"), "/etc/k/config: users[0].user.client-key: ");
	check_fault(FILE_("client-certificate-data: \"*\""),
		"/etc/k/config: users[0].user.client-certificate-data: this is not base64");
	check_fault(FILE_("client-certificate-data: YWJj"),
		"/etc/k/config: users[0].user.client-certificate-data: this is no certificate");
	check_fault(FILE_("client-key: a, client-key-data: " PEM64),
		"/etc/k/config: users[0].user.client-key: the same is also given as data");
	check_fault(
		FILE_("username: a"), "/etc/k/config: users[0].user.username: this is not offered");
	check_fault(FILE_("auth-provider: {}"), "/etc/k/config: users[0].user.auth-provider: ");
	check_fault(FILE_("token: a, " EXEC "}"),
		"/etc/k/config: users[0].user.exec: there is a token");
	check_fault(FILE_("exec: x"), "/etc/k/config: users[0].user.exec: ");
	check_fault(FILE_("exec: {command: x}"), "/etc/k/config: users[0].user.exec.apiVersion: ");
	check_fault(FILE_(EXEC ", interactiveMode: Always}"),
		"/etc/k/config: users[0].user.exec.interactiveMode: ");
	check_fault(FILE_(EXEC ", provideClusterInfo: true}"),
		"/etc/k/config: users[0].user.exec.provideClusterInfo: ");
	check_fault(FILE_(EXEC ", args: [true]}"), "/etc/k/config: users[0].user.exec.args: ");
	check_fault(FILE_(EXEC ", env: [{name: a=b, value: c}]}"),
		"/etc/k/config: users[0].user.exec.env: ");
}

TEST(a_pod_finds_its_server_and_files)
{
	cleanup_kube_config struct kube_config c = KUBE_CONFIG_NULL, d = KUBE_CONFIG_NULL;

	CHECK_EQ(kube_config_of_pod("10.96.0.1", "443", "/sa", &c, NULL), 0);
	CHECK_TEXT(c.server, "https://10.96.0.1:443");
	CHECK_TEXT(c.ca_file, "/sa/ca.crt");
	CHECK_TEXT(c.token_file, "/sa/token");
	CHECK(!c.loopback);
	CHECK_EQ(kube_config_of_pod("fd00::1", "443", "/sa", &d, NULL), 0);
	CHECK_TEXT(d.server, "https://[fd00::1]:443");
}

TEST(outside_of_a_pod_that_is_said)
{
	struct kube_config c = KUBE_CONFIG_NULL;
	struct err err = ERR_NULL;

	CHECK_EQ(kube_config_of_pod(NULL, "443", "/sa", &c, &err), -ENOENT);
	CHECK(strstr(err.text, "KUBERNETES_SERVICE_HOST"));
	CHECK_EQ(kube_config_of_pod("a b", "443", "/sa", &c, &err), -EINVAL);
	CHECK_EQ(kube_config_of_pod("a", "x", "/sa", &c, &err), -EINVAL);
}

TEST(a_kubeconfig_that_is_not_there_is_named)
{
	struct kube_config c = KUBE_CONFIG_NULL;
	struct err err = ERR_NULL;

	CHECK_EQ(kube_config_read("/nonexistent/config", NULL, &c, &err), -ENOENT);
	CHECK(strstr(err.text, "/nonexistent/config"));
}
