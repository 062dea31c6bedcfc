// SPDX-License-Identifier: Apache-2.0
/* The types of single values: each reads its node into the request, and writes it as JSON. */
#include "core/document/document_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PPM_PER_PERCENT 10000

static void *member(struct resv_request *r, const struct field *f)
{
	return (char *)r + f->offset;
}

static const void *const_member(const struct resv_request *r, const struct field *f)
{
	return (const char *)r + f->offset;
}

static int read_constant(
	struct reader *rd, const struct field *f, const struct node *n, struct resv_request *ret)
{
	char quoted[TEXT_QUOTE_MAX];

	if (!node_is_text(n))
		return field_wrong_type(rd, f, n);
	if (strcmp(n->text, f->example) == 0)
		return 0;
	return reader_fault(rd, n->line, "%s: %s is not known here; write %s: %s", f->path,
		text_quote(quoted, n->text), field_key(f), f->example);
}

static int write_constant(const struct field *f, const struct resv_request *r, json_t **ret)
{
	return field_write_text(f->example, ret);
}

const struct field_type type_constant = { "text", read_constant, write_constant };

static int read_map(
	struct reader *rd, const struct field *f, const struct node *n, struct resv_request *ret)
{
	return n->kind == NODE_MAP ? fields_read_map(rd, f, n, ret) : field_wrong_type(rd, f, n);
}

const struct field_type type_map = { "a map", read_map, NULL };

static int read_duration(
	struct reader *rd, const struct field *f, const struct node *n, struct resv_request *ret)
{
	struct err err = ERR_NULL;

	if (n->kind != NODE_SCALAR || node_is_null(n))
		return field_wrong_type(rd, f, n);
	if (duration_parse(n->text, member(ret, f), &err) < 0)
		return reader_fault(rd, n->line, "%s: %s", f->path, err.text);
	return 0;
}

static int write_duration(const struct field *f, const struct resv_request *r, json_t **ret)
{
	const nsec_t *ns = const_member(r, f);
	char text[TEXT_NUMBER_MAX];

	return *ns ? field_write_text(duration_format(text, *ns), ret) : 0;
}

const struct field_type type_duration = { "a duration", read_duration, write_duration };

static int read_period(
	struct reader *rd, const struct field *f, const struct node *n, struct resv_request *ret)
{
	if (n->kind == NODE_SCALAR && strcmp(n->text, "auto") == 0)
		return reader_fault(rd, n->line,
			"%s: auto needs a period estimator, which this version does not have; "
			"write a duration, as in %s: %s",
			f->path, field_key(f), f->example);
	return read_duration(rd, f, n, ret);
}

const struct field_type type_period = { "a duration", read_period, write_duration };

static int write_deadline(const struct field *f, const struct resv_request *r, json_t **ret)
{
	return r->dl.deadline_ns != r->dl.period_ns ? write_duration(f, r, ret) : 0;
}

const struct field_type type_deadline = { "a duration", read_duration, write_deadline };

static int read_cores(
	struct reader *rd, const struct field *f, const struct node *n, struct resv_request *ret)
{
	long cores;

	if (n->kind != NODE_SCALAR || n->quoted || !text_is_number(n->text) ||
		strpbrk(n->text, ".eE"))
		return field_wrong_type(rd, f, n);
	errno = 0;
	cores = strtol(n->text, NULL, 10);
	if (errno || cores < 1 || cores > RESV_CORES_MAX)
		return reader_fault(rd, n->line, "%s: %.20s is outside 1 to %d", f->path, n->text,
			RESV_CORES_MAX);
	ret->cores = cores;
	return 0;
}

static int write_cores(const struct field *f, const struct resv_request *r, json_t **ret)
{
	if (r->cores == 1)
		return 0;
	*ret = json_integer(r->cores);
	return *ret ? 0 : -ENOMEM;
}

const struct field_type type_cores = { "a whole number", read_cores, write_cores };

static int unknown_word(struct reader *rd, const struct field *f, const struct node *n)
{
	char quoted[TEXT_QUOTE_MAX];

	return reader_fault(rd, n->line, "%s: %s is not known here; write %s", f->path,
		text_quote(quoted, n->text), f->type->wanted);
}

static int read_guarantee(
	struct reader *rd, const struct field *f, const struct node *n, struct resv_request *ret)
{
	if (!node_is_text(n))
		return field_wrong_type(rd, f, n);
	ret->guarantee = guarantee_parse(n->text);
	return ret->guarantee ? 0 : unknown_word(rd, f, n);
}

static int write_guarantee(const struct field *f, const struct resv_request *r, json_t **ret)
{
	return r->guarantee == GUARANTEE_HARD ? 0
					      : field_write_text(guarantee_name(r->guarantee), ret);
}

const struct field_type type_guarantee = { "hard or soft", read_guarantee, write_guarantee };

static int read_placement(
	struct reader *rd, const struct field *f, const struct node *n, struct resv_request *ret)
{
	if (!node_is_text(n))
		return field_wrong_type(rd, f, n);
	ret->placement = placement_parse(n->text);
	return ret->placement ? 0 : unknown_word(rd, f, n);
}

static int write_placement(const struct field *f, const struct resv_request *r, json_t **ret)
{
	return r->placement == PLACEMENT_AUTO ? 0
					      : field_write_text(placement_name(r->placement), ret);
}

const struct field_type type_placement = { "auto, shared, exclusive, group or pinned",
	read_placement, write_placement };

static int read_cpus(
	struct reader *rd, const struct field *f, const struct node *n, struct resv_request *ret)
{
	struct err err = ERR_NULL;

	/* As with names, one that is all digits needs its quotes. */
	if (!node_is_text(n))
		return field_wrong_type(rd, f, n);
	if (cpus_parse(n->text, &ret->cpus, &err) < 0)
		return reader_fault(rd, n->line, "%s: %s", f->path, err.text);
	if (cpus_count(&ret->cpus) == 0)
		return reader_fault(rd, n->line, "%s: no CPU is named; write %s, or leave it out",
			f->path, f->type->wanted);
	return 0;
}

static int write_cpus(const struct field *f, const struct resv_request *r, json_t **ret)
{
	char text[CPUS_TEXT_MAX];

	return cpus_count(&r->cpus) ? field_write_text(cpus_format(text, &r->cpus), ret) : 0;
}

const struct field_type type_cpus = { "CPUs in quotes", read_cpus, write_cpus };

static int read_switch(
	struct reader *rd, const struct field *f, const struct node *n, struct resv_request *ret)
{
	bool *on = member(ret, f);

	if (n->kind != NODE_SCALAR || n->quoted ||
		(strcmp(n->text, "true") != 0 && strcmp(n->text, "false") != 0))
		return field_wrong_type(rd, f, n);
	*on = n->text[0] == 't';
	return 0;
}

static int write_switch(const struct field *f, const struct resv_request *r, json_t **ret)
{
	const bool *on = const_member(r, f);

	if (*on)
		*ret = json_true();
	return 0;
}

const struct field_type type_switch = { "true or false", read_switch, write_switch };

/* "1%", "0.05%": 0 to 100, at most four decimals, so that millionths are exact. */
static bool parse_percent(const char *text, uint32_t *ret_ppm)
{
	const char *at = text_skip_digits(text);
	uint32_t scale = PPM_PER_PERCENT;
	unsigned long ppm;

	if (at == text || at - text > 3)
		return false;
	ppm = strtoul(text, NULL, 10) * PPM_PER_PERCENT;
	if (*at == '.') {
		at++;
		if (text_skip_digits(at) == at)
			return false;
		for (; text_skip_digits(at) > at && scale > 1; at++) {
			scale /= 10;
			ppm += scale * (*at - '0');
		}
	}
	if (strcmp(at, "%") != 0 || ppm > PPM_ONE_CPU)
		return false;
	*ret_ppm = ppm;
	return true;
}

static int read_miss_rate(
	struct reader *rd, const struct field *f, const struct node *n, struct resv_request *ret)
{
	char quoted[TEXT_QUOTE_MAX];

	if (n->kind != NODE_SCALAR || node_is_null(n))
		return field_wrong_type(rd, f, n);
	if (parse_percent(n->text, &ret->adapt.miss_rate_ppm))
		return 0;
	return reader_fault(rd, n->line,
		"%s: %s is not a share: write 0%% to 100%% with at most four decimals, as in %s: %s",
		f->path, text_quote(quoted, n->text), field_key(f), f->example);
}

static int write_miss_rate(const struct field *f, const struct resv_request *r, json_t **ret)
{
	uint32_t ppm = r->adapt.miss_rate_ppm, fraction = ppm % PPM_PER_PERCENT;
	char text[TEXT_NUMBER_MAX];
	int digits = 4;

	if (r->adapt.max_runtime_ns == 0 || ppm == DOCUMENT_MISS_RATE_PPM)
		return 0;
	for (; digits > 0 && fraction % 10 == 0; digits--)
		fraction /= 10;
	if (digits)
		snprintf(text, sizeof(text), "%" PRIu32 ".%0*" PRIu32 "%%", ppm / PPM_PER_PERCENT,
			digits, fraction);
	else
		snprintf(text, sizeof(text), "%" PRIu32 "%%", ppm / PPM_PER_PERCENT);
	return field_write_text(text, ret);
}

const struct field_type type_miss_rate = { "a share", read_miss_rate, write_miss_rate };
