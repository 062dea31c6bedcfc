/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A document on its way: a small tree that YAML and JSON both become, the list of its faults, and
 * the table of its fields. For the files of this folder.
 *
 * Every `int` function here returns 0 to go on (a mistake in the document is told as a fault and
 * is no reason to stop), -ECANCELED to stop reading, of which a fault says why, and -ENOMEM.
 */
#pragma once

#include <jansson.h>
#include <yaml.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "core/document/document.h"

enum node_kind {
	NODE_NONE,
	NODE_SCALAR,
	NODE_MAP,
	NODE_LIST,
};

/* JSON's strings are quoted scalars, all else that JSON has for scalars is plain. */
struct node {
	enum node_kind kind;
	bool quoted;
	unsigned line; /* of its key, where it has one; 0: came without lines */
	const char *trouble; /* why it cannot be used, whatever it is; NULL: it can */
	char *key; /* in a map */
	char *text; /* of a scalar */
	struct node *children, *last, *next;
};

struct fault {
	unsigned line;
	char *text;
};

struct reader {
	const char *origin; /* NULL: none, as at the door */
	struct fault *faults;
	size_t n_faults, room;
	unsigned n_values; /* of the document that is being read */
};

void reader_fini(struct reader *rd);

/* line 0: of the whole text. The sentence begins with the path, if there is one. */
int reader_fault(struct reader *rd, unsigned line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Moves the faults, ordered by line, to *ret; -EINVAL with the first in err where there are any. */
int reader_finish(struct reader *rd, struct document_faults *ret, struct err *err);

/* A new last child of `parent`, or the root where that is NULL; empty, counted. */
int node_add(struct reader *rd, struct node *parent, unsigned line, struct node **ret);
int node_set_text(struct node *n, char **member, const char *text, size_t len);
void node_empty(struct node *n); /* drops children and text */
void node_destroy(struct node *n); /* with all below; accepts NULL */
const struct node *node_get(const struct node *map, const char *key); /* the first; NULL: none */
const struct node *node_find(const struct node *root, const char *path); /* "spec.runtime" */
bool node_is_null(const struct node *n);

CLEANUP_DEFINE(struct node *, node_destroy)
#define cleanup_node __attribute__((cleanup(node_destroy_p)))

struct yaml_source {
	struct reader *rd;
	yaml_parser_t parser;
	bool ready;
};

int yaml_source_open(struct yaml_source *s, struct reader *rd, const char *text, size_t len);
void yaml_source_close(struct yaml_source *s);
/* The next document; NULL after the last. */
int yaml_source_next(struct yaml_source *s, struct node **ret);

int node_from_json(struct reader *rd, const json_t *root, struct node **ret);

struct field;

struct field_type {
	const char *wanted; /* "a duration": for the sentence when it is something else */
	int (*read)(struct reader *rd, const struct field *f, const struct node *n,
		struct resv_request *ret);
	/* *ret stays NULL where the default need not be written. NULL: written by its parts. */
	int (*write)(const struct field *f, const struct resv_request *r, json_t **ret);
};

struct field {
	const char *path;
	const struct field_type *type;
	bool required; /* where the map around it is there */
	const char *example; /* as one would write it behind "key: " */
	size_t offset; /* of a number or a switch: where in struct resv_request */
	enum thread_rule rule;
};

extern const struct field_type type_constant, type_map, type_name, type_labels, type_duration,
	type_period, type_deadline, type_cores, type_guarantee, type_placement, type_cpus,
	type_switch, type_threads, type_rule, type_patterns, type_miss_rate;

/* For the types, in value.c. */

/* The first character that is no digit. */
const char *text_skip_digits(const char *at);
/* As JSON writes numbers; what else is plain, and neither true, false nor null, is text. */
bool text_is_number(const char *text);
bool node_is_text(const struct node *n);
size_t node_count(const struct node *n); /* children */
/* Tells that `n` is not what the field wants. */
int field_wrong_type(struct reader *rd, const struct field *f, const struct node *n);
/* Tells that `n` is not text; `entry` is ".app" or "[2]" of the field, or "" for itself. */
int field_wrong_entry(
	struct reader *rd, const struct field *f, const char *entry, const struct node *n);
int field_write_text(const char *text, json_t **ret);

/* In fields.c. */

/* "runtime" of "spec.runtime". */
const char *field_key(const struct field *f);

/* A key that the document brought, for a sentence: printable and short. */
const char *node_key_words(char buf[static TEXT_QUOTE_MAX], const char *key);

/* The fields under `f`, or of the whole document where that is NULL. */
int fields_read_map(
	struct reader *rd, const struct field *f, const struct node *map, struct resv_request *ret);

/* One whole document. *ret owns what it points to, also after faults. */
int fields_read(struct reader *rd, const struct node *root, struct resv_request *ret);
