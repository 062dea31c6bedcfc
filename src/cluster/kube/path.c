// SPDX-License-Identifier: Apache-2.0
#include "cluster/kube/path.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

struct part {
	const char *what, *text;
};

static bool is_unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("-._~", c));
}

/* Writes at most 3 bytes a character and no NUL; returns how many. */
static size_t percent_encode(char *to, const char *text)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t n = 0;

	for (; *text; text++) {
		unsigned char c = *text;

		if (is_unreserved(*text)) {
			to[n++] = *text;
			continue;
		}
		to[n++] = '%';
		to[n++] = digits[c >> 4];
		to[n++] = digits[c & 15];
	}
	return n;
}

static int append(char **path, const char *before, const char *text, struct err *err)
{
	size_t used = strlen(*path), len = strlen(before);
	char *grown = realloc(*path, used + len + 3 * strlen(text) + 1);

	if (!grown)
		return err_set(err, -ENOMEM, "out of memory");
	*path = grown;
	memcpy(grown + used, before, len);
	used += len;
	used += percent_encode(grown + used, text);
	grown[used] = '\0';
	return 0;
}

static int check(const struct part *p, struct err *err)
{
	char quoted[TEXT_QUOTE_MAX];

	if (!p->text || !*p->text)
		return err_set(
			err, -EINVAL, "the %s of an object on the API server is missing", p->what);
	if (strcmp(p->text, ".") == 0 || strcmp(p->text, "..") == 0 || strpbrk(p->text, "/%"))
		return err_set(err, -EINVAL, "%s is no %s: it cannot stand in a path",
			text_quote(quoted, p->text), p->what);
	return 0;
}

static int add_parts(char **path, const struct part *parts, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		int r = check(&parts[i], err);

		if (r == 0)
			r = append(path, "/", parts[i].text, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int kube_path(const struct kube_ref *ref, char **ret, struct err *err)
{
	const struct kube_resource *res = &ref->resource;
	bool core = !res->group || !*res->group;
	struct part parts[8];
	cleanup_free char *path = strdup("");
	size_t n = 0;
	int r;

	if (!path)
		return err_set(err, -ENOMEM, "out of memory");
	if (ref->subresource && !ref->name)
		return err_set(err, -EINVAL, "a subresource belongs to an object with a name");
	parts[n++] = (struct part){ "root", core ? "api" : "apis" };
	if (!core)
		parts[n++] = (struct part){ "group", res->group };
	parts[n++] = (struct part){ "version", res->version };
	if (ref->namespace) {
		parts[n++] = (struct part){ "root", "namespaces" };
		parts[n++] = (struct part){ "namespace", ref->namespace };
	}
	parts[n++] = (struct part){ "resource", res->plural };
	if (ref->name)
		parts[n++] = (struct part){ "name", ref->name };
	if (ref->subresource)
		parts[n++] = (struct part){ "subresource", ref->subresource };
	r = add_parts(&path, parts, n, err);
	if (r == 0)
		*ret = TAKE(path);
	return r;
}

int kube_path_add(char **path, const char *key, const char *value, struct err *err)
{
	int r;

	if (!value)
		return 0;
	r = append(path, strchr(*path, '?') ? "&" : "?", key, err);
	return r < 0 ? r : append(path, "=", value, err);
}
