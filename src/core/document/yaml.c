// SPDX-License-Identifier: Apache-2.0
/*
 * libyaml's events into a tree, one document at a time, so that a long file costs no more memory
 * than its largest document. What YAML has beyond JSON's values (anchors, aliases, tags, keys that
 * are not text) is marked as trouble on the node where it stands; the walk over the fields, which
 * knows the paths, tells it.
 */
#include "core/document/document_private.h"

#include <errno.h>
#include <string.h>

#define BOM_UTF8 "\xef\xbb\xbf"

static void event_fini(yaml_event_t *event)
{
	yaml_event_delete(event);
}

#define cleanup_event __attribute__((cleanup(event_fini)))

static unsigned line_of(const char *text, size_t offset)
{
	unsigned line = 1;

	for (size_t i = 0; i < offset; i++)
		line += text[i] == '\n';
	return line;
}

/*
 * libyaml compares each %TAG directive with all before it: 4 MiB of them would keep it busy for
 * minutes. Before one is a line break of YAML 1.1 (LF, CR; NEL, LS, PS, of which we look at the
 * last byte), or the start.
 */
static int refuse_tag_directives(struct reader *rd, const char *text, size_t len)
{
	const char *at = text, *end = text + len;
	int r;

	for (; (at = memmem(at, end - at, "%TAG", 4)); at++)
		if (at == text || memchr("\n\r\x85\xa8\xa9", at[-1], 5))
			break;
	if (!at)
		return 0;
	r = reader_fault(rd, line_of(text, at - text), "%%TAG directives are not read here");
	return r < 0 ? r : -ECANCELED;
}

int yaml_source_open(struct yaml_source *s, struct reader *rd, const char *text, size_t len)
{
	int r;

	if (len >= strlen(BOM_UTF8) && memcmp(text, BOM_UTF8, strlen(BOM_UTF8)) == 0) {
		text += strlen(BOM_UTF8);
		len -= strlen(BOM_UTF8);
	}
	r = refuse_tag_directives(rd, text, len);
	if (r < 0)
		return r;
	if (!yaml_parser_initialize(&s->parser))
		return -ENOMEM;
	s->rd = rd;
	s->ready = true;
	/* Otherwise libyaml would take UTF-16 by its byte order mark. */
	yaml_parser_set_encoding(&s->parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&s->parser, (const unsigned char *)text, len);
	return 0;
}

void yaml_source_close(struct yaml_source *s)
{
	if (s->ready)
		yaml_parser_delete(&s->parser);
	s->ready = false;
}

/* Why the parser stopped. */
static int tell_failure(struct yaml_source *s)
{
	const yaml_parser_t *p = &s->parser;
	const char *text = (const char *)p->input.string.start;
	size_t len = p->input.string.end - p->input.string.start;
	int r;

	if (p->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	if (p->error == YAML_READER_ERROR)
		r = reader_fault(s->rd,
			line_of(text, p->problem_offset < len ? p->problem_offset : len),
			"this is not plain UTF-8 text: %s", p->problem);
	else
		r = reader_fault(s->rd, p->problem_mark.line + 1, "this is not YAML: %s%s%s",
			p->problem, p->context ? " " : "", p->context ? p->context : "");
	return r < 0 ? r : -ECANCELED;
}

static int next_event(struct yaml_source *s, yaml_event_t *ret)
{
	memset(ret, 0, sizeof(*ret));
	return yaml_parser_parse(&s->parser, ret) ? 0 : tell_failure(s);
}

static int read_value(
	struct yaml_source *s, const yaml_event_t *event, unsigned depth, struct node *n);

static int read_list(struct yaml_source *s, unsigned depth, struct node *n)
{
	for (;;) {
		cleanup_event yaml_event_t event = { 0 };
		struct node *child;
		int r = next_event(s, &event);

		if (r < 0 || event.type == YAML_SEQUENCE_END_EVENT)
			return r;
		r = node_add(s->rd, n, event.start_mark.line + 1, &child);
		if (r == 0)
			r = read_value(s, &event, depth + 1, child);
		if (r < 0)
			return r;
	}
}

/* A key that is not plain or quoted text is read as a value, to get past it, and dropped. */
static int read_key(
	struct yaml_source *s, const yaml_event_t *event, unsigned depth, struct node *child)
{
	int r = read_value(s, event, depth + 1, child);

	if (r < 0)
		return r;
	if (child->kind == NODE_SCALAR) {
		child->key = TAKE(child->text);
		if (!child->quoted && strcmp(child->key, "<<") == 0)
			child->trouble = "merge keys are not read here; write the fields out";
		return 0;
	}
	node_empty(child);
	if (!child->trouble)
		child->trouble = "the name of a field is plain text";
	return node_set_text(child, &child->key, "?", 1);
}

static int read_map(struct yaml_source *s, unsigned depth, struct node *n)
{
	for (;;) {
		cleanup_event yaml_event_t key = { 0 }, value = { 0 };
		const char *trouble;
		struct node *child;
		int r = next_event(s, &key);

		if (r < 0 || key.type == YAML_MAPPING_END_EVENT)
			return r;
		r = node_add(s->rd, n, key.start_mark.line + 1, &child);
		if (r == 0)
			r = read_key(s, &key, depth, child);
		if (r == 0)
			r = next_event(s, &value);
		if (r < 0)
			return r;
		trouble = child->trouble;
		r = read_value(s, &value, depth + 1, child);
		if (r < 0)
			return r;
		if (trouble)
			child->trouble = trouble;
	}
}

static const char *trouble_of(const yaml_char_t *anchor, const yaml_char_t *tag)
{
	if (anchor)
		return "anchors (&x) are not read here; write the value out where it is needed";
	if (tag)
		return "tags (!x) are not read here; write the value alone";
	return NULL;
}

static int read_scalar(const yaml_event_t *event, struct node *n)
{
	n->kind = NODE_SCALAR;
	n->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	n->trouble = trouble_of(event->data.scalar.anchor, event->data.scalar.tag);
	return node_set_text(
		n, &n->text, (const char *)event->data.scalar.value, event->data.scalar.length);
}

static int read_alias(struct node *n)
{
	int r;

	n->kind = NODE_SCALAR;
	r = node_set_text(n, &n->text, "", 0);
	n->trouble = "aliases (*x) are not read here; write the value out";
	return r;
}

static int read_value(
	struct yaml_source *s, const yaml_event_t *event, unsigned depth, struct node *n)
{
	int r;

	if (depth > DOCUMENT_DEPTH_MAX) {
		r = reader_fault(s->rd, event->start_mark.line + 1,
			"this is nested more than %d levels deep", DOCUMENT_DEPTH_MAX);
		return r < 0 ? r : -ECANCELED;
	}
	n->trouble = NULL;
	if (event->type == YAML_SCALAR_EVENT)
		return read_scalar(event, n);
	if (event->type == YAML_ALIAS_EVENT)
		return read_alias(n);
	if (event->type == YAML_SEQUENCE_START_EVENT) {
		n->kind = NODE_LIST;
		r = read_list(s, depth, n);
		n->trouble = trouble_of(
			event->data.sequence_start.anchor, event->data.sequence_start.tag);
		return r;
	}
	n->kind = NODE_MAP;
	r = read_map(s, depth, n);
	n->trouble = trouble_of(event->data.mapping_start.anchor, event->data.mapping_start.tag);
	return r;
}

int yaml_source_next(struct yaml_source *s, struct node **ret)
{
	cleanup_node struct node *n = NULL;
	cleanup_event yaml_event_t event = { 0 };
	int r;

	s->rd->n_values = 0;
	do {
		yaml_event_delete(&event);
		r = next_event(s, &event);
		if (r < 0)
			return r;
		if (event.type == YAML_STREAM_END_EVENT) {
			*ret = NULL;
			return 0;
		}
	} while (event.type == YAML_STREAM_START_EVENT || event.type == YAML_DOCUMENT_START_EVENT ||
		 event.type == YAML_DOCUMENT_END_EVENT);
	r = node_add(s->rd, NULL, event.start_mark.line + 1, &n);
	if (r == 0)
		r = read_value(s, &event, 1, n);
	if (r < 0)
		return r;
	*ret = TAKE(n);
	return 0;
}
