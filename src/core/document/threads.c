// SPDX-License-Identifier: Apache-2.0
/* The types of spec.threads: exactly one rule, which says what threads hold the servers. */
#include "core/document/document_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int read_threads(
	struct reader *rd, const struct field *f, const struct node *n, struct resv_request *ret)
{
	unsigned rules = 0;
	int r;

	if (n->kind != NODE_MAP)
		return field_wrong_type(rd, f, n);
	for (unsigned t = THREADS_NONE + 1; t < _THREADS_MAX; t++)
		rules += node_get(n, thread_rule_name(t)) != NULL;
	if (rules == 1 || (rules == 0 && n->children))
		return fields_read_map(rd, f, n, ret);
	r = reader_fault(rd, n->line,
		"%s: %u rules are given; write one of main, match, attach and all, as in %s: %s",
		f->path, rules, field_key(f), f->example);
	return r < 0 ? r : fields_read_map(rd, f, n, ret);
}

const struct field_type type_threads = { "a map", read_threads, NULL };

static int read_rule(
	struct reader *rd, const struct field *f, const struct node *n, struct resv_request *ret)
{
	if (n->kind != NODE_SCALAR || n->quoted || strcmp(n->text, "true") != 0)
		return field_wrong_type(rd, f, n);
	ret->threads = f->rule;
	return 0;
}

static int write_rule(const struct field *f, const struct resv_request *r, json_t **ret)
{
	if (r->threads == f->rule && f->rule != THREADS_MAIN)
		*ret = json_true();
	return 0;
}

const struct field_type type_rule = { "true", read_rule, write_rule };

static int read_pattern(
	struct reader *rd, const struct field *f, const struct node *n, struct resv_request *ret)
{
	size_t len = n->text ? strlen(n->text) : 0;
	char entry[16], quoted[TEXT_QUOTE_MAX];

	snprintf(entry, sizeof(entry), "[%u]", ret->n_patterns);
	if (n->trouble || !node_is_text(n))
		return field_wrong_entry(rd, f, entry, n);
	if (len < 1 || len >= THREAD_NAME_LEN)
		return reader_fault(rd, n->line,
			"%s%s: %s has %zu bytes; the name of a thread has 1 to %d", f->path, entry,
			text_quote(quoted, n->text), len, THREAD_NAME_LEN - 1);
	strcpy(ret->patterns[ret->n_patterns], n->text);
	return 0;
}

static int read_patterns(
	struct reader *rd, const struct field *f, const struct node *n, struct resv_request *ret)
{
	size_t count = node_count(n);
	int r = 0;

	if (n->kind != NODE_LIST)
		return field_wrong_type(rd, f, n);
	if (count < 1 || count > RESV_PATTERNS_MAX)
		return reader_fault(rd, n->line, "%s: %zu patterns are given; write 1 to %d",
			f->path, count, RESV_PATTERNS_MAX);
	ret->threads = f->rule;
	for (const struct node *child = n->children; child && r == 0; child = child->next) {
		r = read_pattern(rd, f, child, ret);
		ret->n_patterns++;
	}
	return r;
}

static int write_patterns(const struct field *f, const struct resv_request *r, json_t **ret)
{
	cleanup_json json_t *array = NULL;

	if (r->threads != f->rule)
		return 0;
	array = json_array();
	for (unsigned i = 0; i < r->n_patterns; i++)
		if (json_array_append_new(array, json_string(r->patterns[i])) < 0)
			return -ENOMEM;
	*ret = TAKE(array);
	return *ret ? 0 : -ENOMEM;
}

const struct field_type type_patterns = { "a list of text", read_patterns, write_patterns };
