// SPDX-License-Identifier: Apache-2.0
/*
 * The document is this table: what may stand where, of which type, and what a good value looks
 * like. Reading walks the maps of the tree against it, writing walks the table itself.
 */
#include "core/document/document_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define AT(member) .offset = offsetof(struct resv_request, member)

static const struct field fields[] = {
	{ "apiVersion", &type_constant, true, DOCUMENT_API_VERSION },
	{ "kind", &type_constant, true, DOCUMENT_KIND },
	{ "metadata", &type_map, true, "{name: camera}" },
	{ "metadata.name", &type_name, true, "camera" },
	{ "metadata.labels", &type_labels, false, "{app: vision}" },
	{ "spec", &type_map, true, "{runtime: 4ms, period: 20ms}" },
	{ "spec.runtime", &type_duration, true, "4ms", AT(dl.runtime_ns) },
	{ "spec.period", &type_period, true, "20ms", AT(dl.period_ns) },
	{ "spec.deadline", &type_deadline, false, "20ms", AT(dl.deadline_ns) },
	{ "spec.cores", &type_cores, false, "2" },
	{ "spec.guarantee", &type_guarantee, false, "hard" },
	{ "spec.threads", &type_threads, false, "{main: true}" },
	{ "spec.threads.main", &type_rule, false, "true", .rule = THREADS_MAIN },
	{ "spec.threads.match", &type_patterns, false, "[\"worker-*\"]", .rule = THREADS_MATCH },
	{ "spec.threads.attach", &type_rule, false, "true", .rule = THREADS_ATTACH },
	{ "spec.threads.all", &type_rule, false, "true", .rule = THREADS_ALL },
	{ "spec.placement", &type_placement, false, "auto" },
	{ "spec.cpus", &type_cpus, false, "\"2-3\"" },
	{ "spec.reclaim", &type_switch, false, "true", AT(reclaim) },
	{ "spec.adapt", &type_map, false, "{minRuntime: 1ms, maxRuntime: 8ms}" },
	{ "spec.adapt.minRuntime", &type_duration, true, "1ms", AT(adapt.min_runtime_ns) },
	{ "spec.adapt.maxRuntime", &type_duration, true, "8ms", AT(adapt.max_runtime_ns) },
	{ "spec.adapt.missRate", &type_miss_rate, false, "1%" },
};

const char *field_key(const struct field *f)
{
	const char *dot = strrchr(f->path, '.');

	return dot ? dot + 1 : f->path;
}

/* Directly under `above`, or at the top where that is NULL. */
static bool field_is_under(const struct field *f, const struct field *above)
{
	size_t len = field_key(f) - f->path;

	if (!above)
		return len == 0;
	return len == strlen(above->path) + 1 && strncmp(f->path, above->path, len - 1) == 0;
}

static const struct field *field_under(const struct field *above, const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (field_is_under(&fields[i], above) && strcmp(field_key(&fields[i]), key) == 0)
			return &fields[i];
	return NULL;
}

const char *node_key_words(char buf[static TEXT_QUOTE_MAX], const char *key)
{
	size_t len = strlen(key);

	for (size_t i = 0; i < len; i++)
		if (key[i] <= ' ' || key[i] >= 127)
			return text_quote(buf, key);
	return len > 0 && len < TEXT_QUOTE_MAX ? strcpy(buf, key) : text_quote(buf, key);
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/*
 * Edit distance with swaps of neighbours (Damerau, "A technique for computer detection and
 * correction of spelling errors", 1964), letters of either case alike. Both are shorter than
 * TEXT_QUOTE_MAX.
 */
static unsigned distance(const char *a, const char *b)
{
	unsigned char d[TEXT_QUOTE_MAX][TEXT_QUOTE_MAX];
	size_t la = strlen(a), lb = strlen(b);

	for (size_t i = 0; i <= la; i++)
		d[i][0] = i;
	for (size_t j = 0; j <= lb; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= la; i++)
		for (size_t j = 1; j <= lb; j++) {
			bool same = strncasecmp(&a[i - 1], &b[j - 1], 1) == 0;

			d[i][j] =
				least(d[i - 1][j - 1] + !same, least(d[i - 1][j], d[i][j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
		}
	return d[la][lb];
}

/* What was meant by `key`: a field with a name like it here, or of its very name elsewhere. */
static const char *field_like(const struct field *above, const char *key)
{
	const char *best = NULL;
	unsigned best_distance = 3;

	if (strlen(key) >= TEXT_QUOTE_MAX)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		const char *name = field_key(&fields[i]);
		unsigned d = distance(key, name);

		if (field_is_under(&fields[i], above) && d < best_distance &&
			2 * d < strlen(name)) {
			best = name;
			best_distance = d;
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(fields) && !best; i++)
		if (strcasecmp(field_key(&fields[i]), key) == 0)
			best = fields[i].path;
	return best;
}

static void list_fields(char *buf, size_t size, const struct field *above)
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (field_is_under(&fields[i], above))
			n += snprintf(buf + n, size - n, n ? ", %s" : "%s", field_key(&fields[i]));
}

static int tell_unknown(struct reader *rd, const struct field *above, const struct node *n)
{
	const char *meant = field_like(above, n->key);
	char key[TEXT_QUOTE_MAX], all[160];

	list_fields(all, sizeof(all), above);
	return reader_fault(rd, n->line, "%s%s%s: there is no such field; %s %s%s",
		above ? above->path : "", above ? "." : "", node_key_words(key, n->key),
		meant ? "did you mean" : "the fields here are", meant ? meant : all,
		meant ? "?" : "");
}

static int read_child(struct reader *rd, const struct field *above, const struct node *map,
	const struct node *n, struct resv_request *ret)
{
	const struct field *f = field_under(above, n->key);
	const struct node *first = node_get(map, n->key);
	char key[TEXT_QUOTE_MAX];

	if (n->trouble)
		return reader_fault(rd, n->line, "%s%s%s: %s", above ? above->path : "",
			above ? "." : "", node_key_words(key, n->key), n->trouble);
	if (!f)
		return tell_unknown(rd, above, n);
	if (first != n)
		return reader_fault(rd, n->line, "%s: this field is given twice, first on line %u",
			f->path, first->line);
	return f->type->read(rd, f, n, ret);
}

int fields_read_map(struct reader *rd, const struct field *above, const struct node *map,
	struct resv_request *ret)
{
	int r = 0;

	for (const struct node *n = map->children; n && r == 0; n = n->next)
		r = read_child(rd, above, map, n, ret);
	for (size_t i = 0; i < ARRAY_SIZE(fields) && r == 0; i++) {
		const struct field *f = &fields[i];

		if (f->required && field_is_under(f, above) && !node_get(map, field_key(f)))
			r = reader_fault(rd, map->line,
				"%s: this field is missing; write for example %s: %s", f->path,
				field_key(f), f->example);
	}
	return r;
}

static unsigned line_of(const struct node *root, const char *path)
{
	const struct node *n = node_find(root, path);

	return n ? n->line : root->line;
}

/* What adaptation may choose must itself be a sound reservation, and hold what it starts with. */
static int check_envelope(
	struct reader *rd, const struct node *root, const struct resv_request *req)
{
	const struct resv_envelope *e = &req->adapt;
	char a[TEXT_NUMBER_MAX], b[TEXT_NUMBER_MAX];
	int r = 0;

	if (e->min_runtime_ns < DL_RUNTIME_MIN_NS)
		r = reader_fault(rd, line_of(root, "spec.adapt.minRuntime"),
			"spec.adapt.minRuntime: %s is under the kernel's floor of 1024ns",
			duration_format(a, e->min_runtime_ns));
	if (r == 0 && e->min_runtime_ns > req->dl.runtime_ns)
		r = reader_fault(rd, line_of(root, "spec.adapt.minRuntime"),
			"spec.adapt.minRuntime: %s is above the runtime of %s",
			duration_format(a, e->min_runtime_ns),
			duration_format(b, req->dl.runtime_ns));
	if (r == 0 && e->max_runtime_ns < req->dl.runtime_ns)
		r = reader_fault(rd, line_of(root, "spec.adapt.maxRuntime"),
			"spec.adapt.maxRuntime: %s is below the runtime of %s",
			duration_format(a, e->max_runtime_ns),
			duration_format(b, req->dl.runtime_ns));
	if (r == 0 && e->max_runtime_ns > req->dl.deadline_ns)
		r = reader_fault(rd, line_of(root, "spec.adapt.maxRuntime"),
			"spec.adapt.maxRuntime: %s does not fit before the deadline of %s",
			duration_format(a, e->max_runtime_ns),
			duration_format(b, req->dl.deadline_ns));
	return r;
}

/* What no single field shows; all of them are right by now. */
static int check_whole(struct reader *rd, const struct node *root, const struct resv_request *req)
{
	struct err err = ERR_NULL;
	char path[TEXT_QUOTE_MAX] = "";

	if (resv_request_check(req, &err) < 0) {
		snprintf(path, sizeof(path), "%.*s", (int)strcspn(err.text, ":"), err.text);
		return reader_fault(rd, line_of(root, path), "%s", err.text);
	}
	return node_find(root, "spec.adapt") ? check_envelope(rd, root, req) : 0;
}

/* A document of some other kind has nothing to be said about but that. */
static bool is_of_other_kind(const struct node *root)
{
	const struct node *kind = node_get(root, "kind");

	return kind && kind->kind == NODE_SCALAR && !node_is_null(kind) && !kind->trouble &&
	       strcmp(kind->text, DOCUMENT_KIND) != 0;
}

static int check_root(struct reader *rd, const struct node *root)
{
	if (root->trouble)
		return reader_fault(rd, root->line, "%s", root->trouble);
	if (root->kind != NODE_MAP)
		return reader_fault(rd, root->line,
			"a reservation is a map with apiVersion, kind, metadata and spec");
	if (is_of_other_kind(root))
		return type_constant.read(
			rd, field_under(NULL, "kind"), node_get(root, "kind"), NULL);
	return 0;
}

int fields_read(struct reader *rd, const struct node *root, struct resv_request *ret)
{
	size_t before = rd->n_faults;
	int r = check_root(rd, root);

	*ret = (struct resv_request){
		.cores = 1,
		.guarantee = GUARANTEE_HARD,
		.placement = PLACEMENT_AUTO,
		.threads = THREADS_MAIN,
	};
	if (r < 0 || rd->n_faults > before)
		return r;
	r = fields_read_map(rd, NULL, root, ret);
	if (r < 0 || rd->n_faults > before)
		return r;
	if (!node_find(root, "spec.deadline"))
		ret->dl.deadline_ns = ret->dl.period_ns;
	if (node_find(root, "spec.adapt") && !node_find(root, "spec.adapt.missRate"))
		ret->adapt.miss_rate_ppm = DOCUMENT_MISS_RATE_PPM;
	return check_whole(rd, root, ret);
}

/* Puts `value`, which it takes, at `path`, with the objects on the way. */
static int put(json_t *root, const char *path, json_t *value)
{
	char key[TEXT_QUOTE_MAX];
	const char *dot;

	for (; (dot = strchr(path, '.')); path = dot + 1) {
		snprintf(key, sizeof(key), "%.*s", (int)(dot - path), path);
		if (!json_object_get(root, key))
			json_object_set_new(root, key, json_object());
		root = json_object_get(root, key);
	}
	return json_object_set_new(root, path, value) == 0 ? 0 : -ENOMEM;
}

json_t *document_to_json(const struct resv_request *r)
{
	cleanup_json json_t *root = json_object();

	for (size_t i = 0; root && i < ARRAY_SIZE(fields); i++) {
		const struct field *f = &fields[i];
		json_t *value = NULL;

		if (f->type->write && f->type->write(f, r, &value) < 0)
			return NULL;
		if (value && put(root, f->path, value) < 0)
			return NULL;
	}
	return TAKE(root);
}
