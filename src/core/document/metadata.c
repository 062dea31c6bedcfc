// SPDX-License-Identifier: Apache-2.0
/* The types of metadata: the name and the labels. */
#include "core/document/document_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int read_name(
	struct reader *rd, const struct field *f, const struct node *n, struct resv_request *ret)
{
	char quoted[TEXT_QUOTE_MAX];

	if (!node_is_text(n))
		return field_wrong_entry(rd, f, "", n);
	if (!resv_name_valid(n->text))
		return reader_fault(rd, n->line,
			"%s: %s is not a name: write 1 to %d letters, digits, '-', '_' or '.', "
			"first and last a letter or digit",
			f->path, text_quote(quoted, n->text), RESV_NAME_MAX);
	strcpy(ret->name, n->text);
	return 0;
}

static int write_name(const struct field *f, const struct resv_request *r, json_t **ret)
{
	return field_write_text(r->name, ret);
}

const struct field_type type_name = { "text", read_name, write_name };

static int label_cmp(const void *x, const void *y)
{
	const struct resv_label *a = x, *b = y;

	return strcmp(a->key, b->key);
}

static int read_label(struct reader *rd, const struct field *f, const struct node *map,
	const struct node *n, struct resv_request *ret)
{
	const struct node *first = node_get(map, n->key);
	struct resv_label *label = &ret->labels[ret->n_labels];
	char key[TEXT_QUOTE_MAX], entry[TEXT_QUOTE_MAX + 1];

	snprintf(entry, sizeof(entry), ".%s", node_key_words(key, n->key));
	if (n->trouble || !node_is_text(n))
		return field_wrong_entry(rd, f, entry, n);
	if (first != n)
		return reader_fault(rd, n->line,
			"%s%s: this label is given twice, first on line %u", f->path, entry,
			first->line);
	if (strlen(n->key) < 1 || strlen(n->key) > RESV_LABEL_KEY_MAX)
		return reader_fault(rd, n->line, "%s%s: the name of a label has 1 to %d bytes",
			f->path, entry, RESV_LABEL_KEY_MAX);
	if (strlen(n->text) > RESV_LABEL_VALUE_MAX)
		return reader_fault(rd, n->line, "%s%s: a label has at most %d bytes", f->path,
			entry, RESV_LABEL_VALUE_MAX);
	strcpy(label->key, n->key);
	strcpy(label->value, n->text);
	ret->n_labels++;
	return 0;
}

static int read_labels(
	struct reader *rd, const struct field *f, const struct node *n, struct resv_request *ret)
{
	size_t count = node_count(n);
	int r = 0;

	if (n->kind != NODE_MAP)
		return field_wrong_type(rd, f, n);
	if (count > RESV_LABELS_MAX)
		return reader_fault(rd, n->line, "%s: %zu labels are given, at most %d are taken",
			f->path, count, RESV_LABELS_MAX);
	if (count == 0)
		return 0;
	ret->labels = calloc(count, sizeof(*ret->labels));
	if (!ret->labels)
		return -ENOMEM;
	for (const struct node *child = n->children; child && r == 0; child = child->next)
		r = read_label(rd, f, n, child, ret);
	qsort(ret->labels, ret->n_labels, sizeof(*ret->labels), label_cmp);
	return r;
}

static int write_labels(const struct field *f, const struct resv_request *r, json_t **ret)
{
	cleanup_json json_t *object = NULL;

	if (r->n_labels == 0)
		return 0;
	object = json_object();
	for (size_t i = 0; i < r->n_labels; i++)
		if (json_object_set_new(object, r->labels[i].key, json_string(r->labels[i].value)) <
			0)
			return -ENOMEM;
	*ret = TAKE(object);
	return 0;
}

const struct field_type type_labels = { "a map of text", read_labels, write_labels };
