// SPDX-License-Identifier: Apache-2.0
/* What a scalar looks like, and the sentences on one that should look otherwise. */
#include "core/document/document_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DESCRIPTION_MAX (TEXT_QUOTE_MAX + 32)

const char *text_skip_digits(const char *at)
{
	while (*at >= '0' && *at <= '9')
		at++;
	return at;
}

bool text_is_number(const char *text)
{
	const char *at = text + (*text == '-');
	const char *end = text_skip_digits(at);

	if (end == at)
		return false;
	if (*end == '.')
		end = text_skip_digits(end + 1);
	if (*end == 'e' || *end == 'E') {
		at = end + 1 + (end[1] == '-' || end[1] == '+');
		end = text_skip_digits(at);
		if (end == at)
			return false;
	}
	return !*end;
}

bool node_is_text(const struct node *n)
{
	return n->kind == NODE_SCALAR && !node_is_null(n) &&
	       (n->quoted || (!text_is_number(n->text) && strcmp(n->text, "true") != 0 &&
				     strcmp(n->text, "false") != 0));
}

/* "\"2\" is text in quotes": the first half of a sentence on the wrong type. */
static const char *describe(char buf[static DESCRIPTION_MAX], const struct node *n)
{
	char quoted[TEXT_QUOTE_MAX];
	const char *what = "is a boolean";

	if (n->kind == NODE_MAP)
		return "this is a map";
	if (n->kind == NODE_LIST)
		return "this is a list";
	if (node_is_null(n))
		return "there is no value here";
	if (n->quoted)
		what = "is text in quotes";
	else if (text_is_number(n->text))
		what = "is a number";
	else if (node_is_text(n))
		what = "is text";
	snprintf(buf, DESCRIPTION_MAX, "%s %s", text_quote(quoted, n->text), what);
	return buf;
}

int field_wrong_type(struct reader *rd, const struct field *f, const struct node *n)
{
	char buf[DESCRIPTION_MAX];

	return reader_fault(rd, n->line, "%s: %s; write %s, as in %s: %s", f->path,
		describe(buf, n), f->type->wanted, field_key(f), f->example);
}

int field_wrong_entry(
	struct reader *rd, const struct field *f, const char *entry, const struct node *n)
{
	char buf[DESCRIPTION_MAX], quoted[TEXT_QUOTE_MAX];

	if (n->trouble)
		return reader_fault(rd, n->line, "%s%s: %s", f->path, entry, n->trouble);
	if (n->kind == NODE_SCALAR && !node_is_null(n))
		return reader_fault(rd, n->line, "%s%s: %s; write %s in quotes", f->path, entry,
			describe(buf, n), text_quote(quoted, n->text));
	return reader_fault(rd, n->line, "%s%s: %s; write text", f->path, entry, describe(buf, n));
}

size_t node_count(const struct node *n)
{
	size_t count = 0;

	for (const struct node *child = n->children; child; child = child->next)
		count++;
	return count;
}

int field_write_text(const char *text, json_t **ret)
{
	*ret = json_string(text);
	return *ret ? 0 : -ENOMEM;
}
