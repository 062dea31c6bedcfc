/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens: what an exec plugin prints, what may stand in a header, and when to ask again. Pure;
 * used by auth.c.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

#define KUBE_TOKEN_MAX_BYTES (64 * 1024)
#define KUBE_TOKEN_AGE_MS 60000

/* A token file is read again after a minute, and at once after the server refused the token. */
bool kube_token_due(uint64_t age_ms, bool refused);

/*
 * The text without white space around it, in place. -EINVAL: nothing is left, or a character in
 * it cannot stand in a header.
 */
int kube_token_trim(char *text, struct err *err);

/* The status of an ExecCredential. */
struct kube_credential {
	char *token, *cert_pem, *key_pem; /* NULL: not given */
	bool expires;
	int64_t expires_unix_s;
};

#define KUBE_CREDENTIAL_NULL ((struct kube_credential){ .token = NULL })

void kube_credential_fini(struct kube_credential *c);
#define cleanup_kube_credential __attribute__((cleanup(kube_credential_fini)))

/*
 * What the plugin printed; api_version is what was asked for. -EINVAL with what is wrong: no such
 * object, neither token nor certificate, half of a certificate, an unreadable expirationTimestamp.
 * Source: kubernetes/client-go, pkg/apis/clientauthentication/v1/types.go.
 */
int kube_credential_parse(
	struct bytes text, const char *api_version, struct kube_credential *ret, struct err *err);

/* Still good for some seconds. */
bool kube_credential_fresh(const struct kube_credential *c, int64_t now_unix_s);

/* "2026-11-23T12:00:00Z", RFC 3339 with an offset or a fraction, too; -EINVAL: not that. */
int kube_time_parse(const char *text, int64_t *ret_unix_s);
