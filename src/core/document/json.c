// SPDX-License-Identifier: Apache-2.0
#include "core/document/document_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int read_value(struct reader *rd, const json_t *value, unsigned depth, struct node *n);

static int read_object(struct reader *rd, const json_t *object, unsigned depth, struct node *n)
{
	json_t *value;
	const char *key;

	n->kind = NODE_MAP;
	json_object_foreach ((json_t *)object, key, value) {
		struct node *child;
		int r = node_add(rd, n, 0, &child);

		if (r == 0)
			r = node_set_text(child, &child->key, key, strlen(key));
		if (r == 0)
			r = read_value(rd, value, depth + 1, child);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_array(struct reader *rd, const json_t *array, unsigned depth, struct node *n)
{
	json_t *value;
	size_t i;

	n->kind = NODE_LIST;
	json_array_foreach (array, i, value) {
		struct node *child;
		int r = node_add(rd, n, 0, &child);

		if (r == 0)
			r = read_value(rd, value, depth + 1, child);
		if (r < 0)
			return r;
	}
	return 0;
}

/* With a point or exponent, which tells it from a whole number. */
static void print_real(char *buf, size_t size, double real)
{
	int n = snprintf(buf, size, "%.15g", real);

	if (!strpbrk(buf, ".e"))
		snprintf(buf + n, size - n, ".0");
}

static int read_scalar(const json_t *value, struct node *n)
{
	char number[64] = "null";

	n->kind = NODE_SCALAR;
	n->quoted = json_is_string(value);
	if (n->quoted)
		return node_set_text(
			n, &n->text, json_string_value(value), json_string_length(value));
	if (json_is_integer(value))
		snprintf(
			number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_real(value))
		print_real(number, sizeof(number), json_real_value(value));
	else if (json_is_boolean(value))
		snprintf(number, sizeof(number), "%s", json_is_true(value) ? "true" : "false");
	return node_set_text(n, &n->text, number, strlen(number));
}

static int read_value(struct reader *rd, const json_t *value, unsigned depth, struct node *n)
{
	int r;

	if (depth > DOCUMENT_DEPTH_MAX) {
		r = reader_fault(
			rd, 0, "this is nested more than %d levels deep", DOCUMENT_DEPTH_MAX);
		return r < 0 ? r : -ECANCELED;
	}
	if (json_is_object(value))
		return read_object(rd, value, depth, n);
	if (json_is_array(value))
		return read_array(rd, value, depth, n);
	return read_scalar(value, n);
}

int node_from_json(struct reader *rd, const json_t *root, struct node **ret)
{
	cleanup_node struct node *n = NULL;
	int r;

	rd->n_values = 0;
	r = node_add(rd, NULL, 0, &n);
	if (r == 0)
		r = read_value(rd, root, 1, n);
	if (r < 0)
		return r;
	*ret = TAKE(n);
	return 0;
}
