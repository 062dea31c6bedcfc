// SPDX-License-Identifier: Apache-2.0
#include "cluster/kube/credential.h"

#include <errno.h>

#include "base/cleanup.h"
#include "test.h"

#define V1 "client.authentication.k8s.io/v1"
#define OTHER \
	"{\"apiVersion\": \"v2\", \"kind\": \"ExecCredential\", \"status\": {\"token\": \"a\"}}"
#define HEAD "{\"apiVersion\": \"" V1 "\", \"kind\": \"ExecCredential\", \"status\": "

static int parse(const char *text, struct kube_credential *ret)
{
	return kube_credential_parse((struct bytes){ text, strlen(text) }, V1, ret, NULL);
}

TEST(a_token_with_its_end_is_read)
{
	cleanup_kube_credential struct kube_credential c = KUBE_CREDENTIAL_NULL;

	CHECK_EQ(parse(HEAD "{\"token\": \"abc\\n\", "
			    "\"expirationTimestamp\": \"2026-11-23T12:00:00Z\"}}",
			 &c),
		0);
	CHECK_TEXT(c.token, "abc");
	CHECK(c.expires && c.expires_unix_s == 1795435200);
	CHECK(kube_credential_fresh(&c, c.expires_unix_s - 60));
	CHECK(!kube_credential_fresh(&c, c.expires_unix_s - 5));
	CHECK(!kube_credential_fresh(&c, c.expires_unix_s + 5));
}

TEST(a_client_certificate_without_an_end_is_read)
{
	cleanup_kube_credential struct kube_credential c = KUBE_CREDENTIAL_NULL;

	CHECK_EQ(
		parse(HEAD "{\"clientCertificateData\": \"x\", \"clientKeyData\": \"y\"}}", &c), 0);
	CHECK(c.cert_pem && c.key_pem && !c.token);
	CHECK(kube_credential_fresh(&c, INT64_MAX));
}

TEST(what_is_no_credential_is_refused)
{
	static const char *const texts[] = { "", "token", "{}", HEAD "{}}", HEAD "[]}",
		HEAD "{\"token\": 1}}", HEAD "{\"token\": \"a b\"}}", HEAD "{\"token\": \"\"}}",
		HEAD "{\"token\": \"a\\r\\nX-Other: b\"}}",
		HEAD "{\"clientCertificateData\": \"x\"}}",
		HEAD "{\"token\": \"a\", \"expirationTimestamp\": \"tomorrow\"}}",
		HEAD "{\"token\": \"a\", \"expirationTimestamp\": 5}}", OTHER };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct kube_credential c = KUBE_CREDENTIAL_NULL;

		CHECK_EQ(parse(texts[i], &c), -EINVAL);
		CHECK(!c.token && !c.cert_pem);
	}
}

TEST(times_have_fractions_and_offsets)
{
	int64_t at = 0;

	CHECK_EQ(kube_time_parse("1970-01-01T00:00:10Z", &at), 0);
	CHECK_EQ(at, 10);
	CHECK_EQ(kube_time_parse("1970-01-01T02:00:10.123456789+02:00", &at), 0);
	CHECK_EQ(at, 10);
	CHECK_EQ(kube_time_parse("1969-12-31T23:30:10-00:30", &at), 0);
	CHECK_EQ(at, 10);
}

TEST(what_is_no_time_is_refused)
{
	static const char *const texts[] = { "", "1970", "1970-01-01", "1970-01-01T00:00:00",
		"1970-13-01T00:00:00Z", "1970-01-01T25:00:00Z", "1970-01-01T00:00:00.Z",
		"1970-01-01T00:00:00+2:00", "1970-01-01T00:00:00+02:00x", "1970-01-01T00:00:00Zx",
		"1970-01-01 00:00:00Z", "-970-01-01T00:00:00Z", "1970-01-01T 0:00:00Z" };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		int64_t at = 0;

		CHECK_EQ(kube_time_parse(texts[i], &at), -EINVAL);
	}
}

TEST(a_token_is_read_again_after_a_minute_or_when_it_was_refused)
{
	CHECK(!kube_token_due(0, false));
	CHECK(!kube_token_due(59999, false));
	CHECK(kube_token_due(60000, false));
	CHECK(kube_token_due(0, true));
}
