// SPDX-License-Identifier: Apache-2.0
#include "core/document/document.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/document/document_private.h"

struct named {
	char name[RESV_NAME_MAX + 1];
	unsigned line;
};

/* A text while it is being read. */
struct reading {
	struct reader rd;
	struct yaml_source yaml;
	struct resv_request *requests;
	size_t n, n_documents, room;
	struct named *names; /* of all documents that have one, also where other fields are wrong */
	size_t n_names;
};

static void requests_free(struct resv_request *requests, size_t n)
{
	for (size_t i = 0; i < n; i++)
		resv_request_fini(&requests[i]);
	free(requests);
}

static void reading_fini(struct reading *g)
{
	yaml_source_close(&g->yaml);
	reader_fini(&g->rd);
	requests_free(g->requests, g->n);
	free(g->names);
}

#define cleanup_reading __attribute__((cleanup(reading_fini)))
#define cleanup_reader __attribute__((cleanup(reader_fini)))
#define cleanup_request __attribute__((cleanup(resv_request_fini)))

void document_set_fini(struct document_set *s)
{
	if (!s)
		return;
	requests_free(s->requests, s->n);
	document_faults_fini(&(struct document_faults){ s->faults, s->n_faults });
	*s = DOCUMENT_SET_NULL;
}

void document_faults_fini(struct document_faults *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->n; i++)
		free(f->text[i]);
	free(f->text);
	*f = DOCUMENT_FAULTS_NULL;
}

/* Room for one more document, in both arrays. */
static int reading_grow(struct reading *g)
{
	size_t room = g->room ? g->room * 2 : 1;
	struct resv_request *requests;
	struct named *names;

	if (g->n_documents < g->room)
		return 0;
	requests = realloc(g->requests, room * sizeof(*requests));
	if (!requests)
		return -ENOMEM;
	g->requests = requests;
	names = realloc(g->names, room * sizeof(*names));
	if (!names)
		return -ENOMEM;
	g->names = names;
	g->room = room;
	return 0;
}

static void remember_name(
	struct reading *g, const struct node *root, const struct resv_request *req)
{
	const struct node *n = node_find(root, "metadata.name");

	if (!n || !req->name[0])
		return;
	strcpy(g->names[g->n_names].name, req->name);
	g->names[g->n_names++].line = n->line;
}

static int read_document(struct reading *g, const struct node *root)
{
	cleanup_request struct resv_request req = { 0 };
	size_t before = g->rd.n_faults;
	int r;

	if (g->n_documents == DOCUMENT_MAX) {
		r = reader_fault(&g->rd, root->line, "there are more than %d documents; split them",
			DOCUMENT_MAX);
		return r < 0 ? r : -ECANCELED;
	}
	if (reading_grow(g) < 0)
		return -ENOMEM;
	g->n_documents++;
	r = fields_read(&g->rd, root, &req);
	remember_name(g, root, &req);
	if (r < 0 || g->rd.n_faults > before)
		return r;
	g->requests[g->n++] = req;
	req = (struct resv_request){ 0 };
	return 0;
}

/* Empty documents ("---" twice) are passed over. */
static int read_documents(struct reading *g)
{
	for (;;) {
		cleanup_node struct node *root = NULL;
		int r = yaml_source_next(&g->yaml, &root);

		if (r < 0)
			return r;
		if (!root)
			break;
		if (node_is_null(root))
			continue;
		r = read_document(g, root);
		if (r < 0)
			return r;
	}
	return g->n_documents ? 0 : reader_fault(&g->rd, 0, "there is no reservation in it");
}

static int named_cmp(const void *x, const void *y)
{
	const struct named *a = x, *b = y;
	int by_name = strcmp(a->name, b->name);

	if (by_name != 0)
		return by_name;
	return a->line < b->line ? -1 : a->line > b->line;
}

static int check_names(struct reading *g)
{
	int r = 0;

	if (g->n_names > 1)
		qsort(g->names, g->n_names, sizeof(*g->names), named_cmp);
	for (size_t i = 1; i < g->n_names && r == 0; i++)
		if (strcmp(g->names[i].name, g->names[i - 1].name) == 0)
			r = reader_fault(&g->rd, g->names[i].line,
				"metadata.name: %s is already the name of a document, on line %u",
				g->names[i].name, g->names[i - 1].line);
	return r;
}

static int read_text(struct reading *g, const char *text, size_t len)
{
	int r;

	if (len > DOCUMENT_BYTES_MAX)
		return reader_fault(&g->rd, 0, "this is larger than %u MiB; split it",
			DOCUMENT_BYTES_MAX >> 20);
	r = yaml_source_open(&g->yaml, &g->rd, text, len);
	if (r == 0)
		r = read_documents(g);
	if (r == 0 || r == -ECANCELED)
		r = check_names(g);
	return r;
}

int document_parse(
	const char *text, size_t len, const char *origin, struct document_set *ret, struct err *err)
{
	cleanup_reading struct reading g = { .rd.origin = origin };
	struct document_faults faults = DOCUMENT_FAULTS_NULL;
	int r = read_text(&g, text, len);

	if (r == -ENOMEM)
		return err_set(err, r, "out of memory");
	r = reader_finish(&g.rd, &faults, err);
	if (r == -ENOMEM)
		return r;
	*ret = (struct document_set){ .faults = faults.text, .n_faults = faults.n };
	if (r < 0)
		return r;
	ret->n = g.n;
	ret->requests = TAKE(g.requests);
	g.n = 0;
	return 0;
}

int document_from_json(const json_t *root, struct resv_request *ret,
	struct document_faults *ret_faults, struct err *err)
{
	cleanup_reader struct reader rd = { 0 };
	cleanup_request struct resv_request req = { 0 };
	cleanup_document_faults struct document_faults faults = DOCUMENT_FAULTS_NULL;
	cleanup_node struct node *tree = NULL;
	int r = node_from_json(&rd, root, &tree);

	if (r == 0)
		r = fields_read(&rd, tree, &req);
	if (r == -ENOMEM)
		return err_set(err, r, "out of memory");
	r = reader_finish(&rd, &faults, err);
	if (r == -EINVAL && ret_faults) {
		*ret_faults = faults;
		faults = DOCUMENT_FAULTS_NULL;
	}
	if (r < 0)
		return r;
	*ret = req;
	req = (struct resv_request){ 0 };
	return 0;
}
