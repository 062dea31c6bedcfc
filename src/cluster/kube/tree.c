// SPDX-License-Identifier: Apache-2.0
#include "cluster/kube/tree.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <yaml.h>

#include "base/cleanup.h"
#include "base/text.h"

static void event_fini(yaml_event_t *event)
{
	yaml_event_delete(event);
}

static void parser_fini(yaml_parser_t **p)
{
	if (*p)
		yaml_parser_delete(*p);
}

#define cleanup_event __attribute__((cleanup(event_fini)))
#define cleanup_parser __attribute__((cleanup(parser_fini)))

struct source {
	yaml_parser_t *parser;
	unsigned n_values;
	struct err *err;
};

static int refuse(struct source *s, const yaml_event_t *at, const char *why)
{
	return err_set(s->err, -EINVAL, "line %zu: %s", at->start_mark.line + 1, why);
}

static int next_event(struct source *s, yaml_event_t *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (yaml_parser_parse(s->parser, ret))
		return 0;
	if (s->parser->error == YAML_MEMORY_ERROR)
		return err_set(s->err, -ENOMEM, "out of memory");
	return err_set(s->err, -EINVAL, "line %zu: this is not YAML: %s",
		s->parser->problem_mark.line + 1,
		s->parser->problem ? s->parser->problem : "unknown reason");
}

static int read_value(struct source *s, const yaml_event_t *event, unsigned depth, json_t **ret);

static bool is_plain(const yaml_event_t *event, const char *word)
{
	return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       strcmp((const char *)event->data.scalar.value, word) == 0;
}

static int read_scalar(struct source *s, const yaml_event_t *event, json_t **ret)
{
	const char *text = (const char *)event->data.scalar.value;
	size_t len = event->data.scalar.length;

	if (event->data.scalar.anchor || event->data.scalar.tag)
		return refuse(s, event, "anchors (&x) and tags (!x) are not read here");
	if (memchr(text, '\0', len))
		return refuse(s, event, "there is a NUL character in it");
	if (is_plain(event, "true") || is_plain(event, "false"))
		*ret = json_boolean(text[0] == 't');
	else if (is_plain(event, "") || is_plain(event, "null") || is_plain(event, "~"))
		*ret = json_null();
	else
		*ret = json_stringn(text, len);
	return *ret ? 0 : err_set(s->err, -ENOMEM, "out of memory");
}

static int read_list(struct source *s, unsigned depth, json_t **ret)
{
	cleanup_json json_t *list = json_array();

	if (!list)
		return err_set(s->err, -ENOMEM, "out of memory");
	for (;;) {
		cleanup_event yaml_event_t event = { 0 };
		json_t *value = NULL;
		int r = next_event(s, &event);

		if (r == 0 && event.type == YAML_SEQUENCE_END_EVENT)
			break;
		if (r == 0)
			r = read_value(s, &event, depth + 1, &value);
		if (r < 0)
			return r;
		if (json_array_append_new(list, value) < 0)
			return err_set(s->err, -ENOMEM, "out of memory");
	}
	*ret = TAKE(list);
	return 0;
}

static int read_key(struct source *s, const yaml_event_t *key, const json_t *map)
{
	char quoted[TEXT_QUOTE_MAX];
	const char *text;

	if (key->type != YAML_SCALAR_EVENT || key->data.scalar.anchor || key->data.scalar.tag)
		return refuse(s, key, "the name of a field is plain text");
	text = (const char *)key->data.scalar.value;
	if (memchr(text, '\0', key->data.scalar.length))
		return refuse(s, key, "there is a NUL character in it");
	if (json_object_get(map, text))
		return err_set(s->err, -EINVAL, "line %zu: %s is there twice",
			key->start_mark.line + 1, text_quote(quoted, text));
	return 0;
}

static int read_map(struct source *s, unsigned depth, json_t **ret)
{
	cleanup_json json_t *map = json_object();

	if (!map)
		return err_set(s->err, -ENOMEM, "out of memory");
	for (;;) {
		cleanup_event yaml_event_t key = { 0 }, event = { 0 };
		json_t *value = NULL;
		int r = next_event(s, &key);

		if (r == 0 && key.type == YAML_MAPPING_END_EVENT)
			break;
		if (r == 0)
			r = read_key(s, &key, map);
		if (r == 0)
			r = next_event(s, &event);
		if (r == 0)
			r = read_value(s, &event, depth + 1, &value);
		if (r < 0)
			return r;
		if (json_object_set_new(map, (const char *)key.data.scalar.value, value) < 0)
			return err_set(s->err, -ENOMEM, "out of memory");
	}
	*ret = TAKE(map);
	return 0;
}

static int read_value(struct source *s, const yaml_event_t *event, unsigned depth, json_t **ret)
{
	if (depth > KUBE_TREE_DEPTH_MAX || ++s->n_values > KUBE_TREE_VALUES_MAX)
		return refuse(s, event, "this is more, or nested deeper, than a kubeconfig is");
	if (event->type == YAML_SCALAR_EVENT)
		return read_scalar(s, event, ret);
	if (event->type == YAML_SEQUENCE_START_EVENT && !event->data.sequence_start.anchor)
		return read_list(s, depth, ret);
	if (event->type == YAML_MAPPING_START_EVENT && !event->data.mapping_start.anchor)
		return read_map(s, depth, ret);
	return refuse(s, event, "anchors (&x) and aliases (*x) are not read here");
}

/* libyaml compares each %TAG directive with all before it, so many of them keep it busy. */
static bool has_tag_directive(struct bytes text)
{
	const char *at = text.at, *end = text.at + text.len;

	for (; (at = memmem(at, end - at, "%TAG", 4)); at++)
		if (at == text.at || memchr("\n\r\x85\xa8\xa9", at[-1], 5))
			return true;
	return false;
}

int kube_tree_parse(struct bytes text, json_t **ret, struct err *err)
{
	yaml_parser_t parser;
	cleanup_parser yaml_parser_t *owned = NULL;
	struct source s = { .parser = &parser, .err = err };

	if (has_tag_directive(text))
		return err_set(err, -EINVAL, "%%TAG directives are not read here");
	if (!yaml_parser_initialize(&parser))
		return err_set(err, -ENOMEM, "out of memory");
	owned = &parser;
	yaml_parser_set_input_string(&parser, (const unsigned char *)text.at, text.len);
	for (;;) {
		cleanup_event yaml_event_t event = { 0 };
		int r = next_event(&s, &event);

		if (r < 0)
			return r;
		if (event.type == YAML_STREAM_END_EVENT)
			return err_set(err, -EINVAL, "there is nothing in it");
		if (event.type != YAML_STREAM_START_EVENT &&
			event.type != YAML_DOCUMENT_START_EVENT)
			return read_value(&s, &event, 1, ret);
	}
}
