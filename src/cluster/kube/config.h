/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the API server is and who we are to it: from a kubeconfig, or from what Kubernetes gives
 * every pod. Read by the programs that make a client, which takes it over.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"

#define KUBE_CONFIG_MAX_BYTES (1024 * 1024)
#define KUBE_SERVICE_ACCOUNT_DIR "/var/run/secrets/kubernetes.io/serviceaccount"

/* A program that prints credentials (ExecCredential of client.authentication.k8s.io). */
struct kube_exec {
	char *api_version; /* NULL: there is no such program */
	char *command; /* with a '/': a path; without: looked for in $PATH */
	char **args; /* NULL at its end */
	char **env; /* "NAME=VALUE", NULL at its end; besides our own environment */
	char *install_hint; /* NULL: none; for the sentence when the command is not there */
};

/* All texts are its own; NULL: not given. */
struct kube_config {
	char *server; /* "https://host:port/path", without a '/' at its end */
	char *host; /* of it, without brackets */
	char *port; /* of it, "443" where it has none */
	char *tls_server_name; /* the name in the certificate, where it is not the host's */
	char *proxy; /* never used for a loopback address */
	char *ca_file, *ca_pem; /* neither: the certificates of the system */
	bool insecure; /* the kubeconfig says insecure-skip-tls-verify: true */
	bool loopback; /* host is localhost, 127.0.0.0/8 or ::1 */
	char *cert_file, *cert_pem, *key_file, *key_pem; /* client certificate */
	char *token, *token_file; /* both: the file wins, the token is for when it cannot be read */
	struct kube_exec exec;
	char *namespace;
};

#define KUBE_CONFIG_NULL ((struct kube_config){ 0 })

void kube_config_fini(struct kube_config *c);
#define cleanup_kube_config __attribute__((cleanup(kube_config_fini)))

/*
 * Pure: a kubeconfig's text. `origin` is the name of the file, for sentences ("FILE: KEY: why")
 * and for paths in it, which are relative to its folder. context NULL: its current-context.
 * -EINVAL: a mistake in it, with file and key; -ENOMEM. *ret changes on success only.
 */
int kube_config_parse(struct bytes text, const char *origin, const char *context,
	struct kube_config *ret, struct err *err);

/* The same from the file; -ENOENT and so on where it cannot be read. */
int kube_config_read(
	const char *file, const char *context, struct kube_config *ret, struct err *err);

/*
 * Pure: what a pod finds. host and port are the values of KUBERNETES_SERVICE_HOST and _PORT, NULL
 * where they are unset (-ENOENT: this is no pod); `folder` has ca.crt and token in it.
 */
int kube_config_of_pod(const char *host, const char *port, const char *folder,
	struct kube_config *ret, struct err *err);

/* The same from our environment; folder NULL: KUBE_SERVICE_ACCOUNT_DIR. */
int kube_config_in_cluster(const char *folder, struct kube_config *ret, struct err *err);
