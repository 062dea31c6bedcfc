// SPDX-License-Identifier: Apache-2.0
#include "cluster/kube/credential.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"

#define EXPIRES_SOON_S 10
#define SPACES " \t\r\n"

bool kube_token_due(uint64_t age_ms, bool refused)
{
	return refused || age_ms >= KUBE_TOKEN_AGE_MS;
}

int kube_token_trim(char *text, struct err *err)
{
	size_t before = strspn(text, SPACES), len = strlen(text + before);

	while (len > 0 && strchr(SPACES, text[before + len - 1]))
		len--;
	memmove(text, text + before, len);
	text[len] = '\0';
	if (len == 0)
		return err_set(err, -EINVAL, "there is no token in it");
	for (const char *at = text; *at; at++)
		if (*at <= ' ' || *at >= 127)
			return err_set(err, -EINVAL,
				"this is no token: there are spaces or other characters in it that "
				"cannot stand in a header");
	return 0;
}

void kube_credential_fini(struct kube_credential *c)
{
	free(c->token);
	free(c->cert_pem);
	free(c->key_pem);
	*c = KUBE_CREDENTIAL_NULL;
}

bool kube_credential_fresh(const struct kube_credential *c, int64_t now_unix_s)
{
	return !c->expires || c->expires_unix_s - EXPIRES_SOON_S > now_unix_s;
}

/* In the pattern a 'd' is a digit, all else is itself; what is behind it is not looked at. */
static bool looks_like(const char *text, const char *pattern)
{
	for (; *pattern; text++, pattern++)
		if (*pattern == 'd' ? *text < '0' || *text > '9' : *text != *pattern)
			return false;
	return true;
}

static int number(const char *two_digits)
{
	return (two_digits[0] - '0') * 10 + (two_digits[1] - '0');
}

/* The offset behind the seconds: "Z" or "+02:00". */
static int parse_offset(const char *text, int64_t *ret_s)
{
	int hours, minutes;

	if (strcmp(text, "Z") == 0) {
		*ret_s = 0;
		return 0;
	}
	if ((*text != '+' && *text != '-') || !looks_like(text + 1, "dd:dd") || text[6])
		return -EINVAL;
	hours = number(text + 1);
	minutes = number(text + 4);
	if (hours > 23 || minutes > 59)
		return -EINVAL;
	*ret_s = (hours * 60 + minutes) * 60 * (*text == '-' ? -1 : 1);
	return 0;
}

int kube_time_parse(const char *text, int64_t *ret_unix_s)
{
	struct tm tm;
	int64_t offset_s;
	int r;

	if (!looks_like(text, "dddd-dd-ddTdd:dd:dd"))
		return -EINVAL;
	tm = (struct tm){
		.tm_year = number(text) * 100 + number(text + 2) - 1900,
		.tm_mon = number(text + 5) - 1,
		.tm_mday = number(text + 8),
		.tm_hour = number(text + 11),
		.tm_min = number(text + 14),
		.tm_sec = number(text + 17),
	};
	if (tm.tm_mon < 0 || tm.tm_mon > 11 || tm.tm_mday < 1 || tm.tm_mday > 31 ||
		tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
		return -EINVAL;
	text += strlen("2026-11-23T12:00:00");
	if (looks_like(text, ".d"))
		text += 1 + strspn(text + 1, "0123456789");
	r = parse_offset(text, &offset_s);
	if (r == 0)
		*ret_unix_s = (int64_t)timegm(&tm) - offset_s;
	return r;
}

static int copy_text(const json_t *map, const char *key, char **ret, struct err *err)
{
	const json_t *value = json_object_get(map, key);

	if (!value || json_is_null(value))
		return 0;
	if (!json_is_string(value))
		return err_set(err, -EINVAL, "status.%s is to be a text", key);
	if (json_string_length(value) == 0)
		return 0;
	*ret = strdup(json_string_value(value));
	return *ret ? 0 : err_set(err, -ENOMEM, "out of memory");
}

static int read_expiry(const json_t *status, struct kube_credential *c, struct err *err)
{
	const json_t *value = json_object_get(status, "expirationTimestamp");

	if (!value || json_is_null(value))
		return 0;
	c->expires = true;
	if (!json_is_string(value) ||
		kube_time_parse(json_string_value(value), &c->expires_unix_s) < 0)
		return err_set(err, -EINVAL,
			"status.expirationTimestamp is no time such as 2026-11-23T12:00:00Z");
	return 0;
}

static int check_kind(const json_t *root, const char *api_version, struct err *err)
{
	const char *kind = json_string_value(json_object_get(root, "kind"));
	const char *version = json_string_value(json_object_get(root, "apiVersion"));

	if (!kind || strcmp(kind, "ExecCredential") != 0 || !version ||
		strcmp(version, api_version) != 0)
		return err_set(err, -EINVAL, "it printed no ExecCredential of %s", api_version);
	return 0;
}

int kube_credential_parse(
	struct bytes text, const char *api_version, struct kube_credential *ret, struct err *err)
{
	cleanup_kube_credential struct kube_credential c = KUBE_CREDENTIAL_NULL;
	cleanup_json json_t *root = json_loadb(text.at, text.len, 0, NULL);
	const json_t *status = json_object_get(root, "status");
	int r = check_kind(root, api_version, err);

	if (r == 0)
		r = copy_text(status, "token", &c.token, err);
	if (r == 0 && c.token)
		r = kube_token_trim(c.token, err);
	if (r == 0)
		r = copy_text(status, "clientCertificateData", &c.cert_pem, err);
	if (r == 0)
		r = copy_text(status, "clientKeyData", &c.key_pem, err);
	if (r == 0)
		r = read_expiry(status, &c, err);
	if (r < 0)
		return r;
	if (!c.token && !c.cert_pem && !c.key_pem)
		return err_set(err, -EINVAL, "it printed neither token nor client certificate");
	if (!c.cert_pem != !c.key_pem)
		return err_set(err, -EINVAL, "it printed only one of client certificate and key");
	*ret = c;
	c = KUBE_CREDENTIAL_NULL;
	return 0;
}
