// SPDX-License-Identifier: Apache-2.0
#include "core/document/document_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int node_add(struct reader *rd, struct node *parent, unsigned line, struct node **ret)
{
	struct node *n;
	int r;

	if (rd->n_values == DOCUMENT_VALUES_MAX) {
		r = reader_fault(rd, line,
			"this document has more than %d values; a reservation needs far fewer",
			DOCUMENT_VALUES_MAX);
		return r < 0 ? r : -ECANCELED;
	}
	n = calloc(1, sizeof(*n));
	if (!n)
		return -ENOMEM;
	rd->n_values++;
	n->line = line;
	if (parent && parent->last)
		parent->last->next = n;
	else if (parent)
		parent->children = n;
	if (parent)
		parent->last = n;
	*ret = n;
	return 0;
}

int node_set_text(struct node *n, char **member, const char *text, size_t len)
{
	if (memchr(text, '\0', len))
		n->trouble = "there is a NUL character in it; write plain text";
	*member = strndup(text, len);
	return *member ? 0 : -ENOMEM;
}

void node_empty(struct node *n)
{
	while (n->children) {
		struct node *next = n->children->next;

		node_destroy(n->children);
		n->children = next;
	}
	n->last = NULL;
	free(TAKE(n->text));
}

void node_destroy(struct node *n)
{
	if (!n)
		return;
	node_empty(n);
	free(n->key);
	free(n);
}

const struct node *node_get(const struct node *map, const char *key)
{
	if (map->kind != NODE_MAP)
		return NULL;
	for (const struct node *n = map->children; n; n = n->next)
		if (strcmp(n->key, key) == 0)
			return n;
	return NULL;
}

const struct node *node_find(const struct node *root, const char *path)
{
	const struct node *at = root;
	char key[TEXT_QUOTE_MAX];

	while (at && *path) {
		size_t len = strcspn(path, ".");

		if (len >= sizeof(key))
			return NULL;
		memcpy(key, path, len);
		key[len] = '\0';
		at = node_get(at, key);
		path += len + (path[len] == '.');
	}
	return at;
}

bool node_is_null(const struct node *n)
{
	return n->kind == NODE_SCALAR && !n->quoted && !n->trouble &&
	       (strcmp(n->text, "") == 0 || strcmp(n->text, "~") == 0 ||
		       strcmp(n->text, "null") == 0);
}
