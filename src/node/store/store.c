// SPDX-License-Identifier: Apache-2.0
#include "node/store/store.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "node/store/store_private.h"

static int no_such(const char *name, int r, struct err *err)
{
	if (r != 0)
		return r;
	return err_set(err, -ENOENT, "no reservation %s is stored", name);
}

int store_reserve(struct store *s, const struct store_resv *resv, const struct change *change,
	struct err *err)
{
	int r = tx_begin(s, TX_FOR_GOOD, err);

	if (r == 0)
		r = sql_run(s, SQL_RESERVE, err, "tttttdddddt", resv->name, resv->document,
			placement_name(resv->placement), resv->test, resv->reason,
			(int64_t)resv->has_bound, (int64_t)resv->bound_ns, (int64_t)resv->transient,
			(int64_t)resv->shareable, resv->created_ms, resv->cpus);
	return tx_end(s, "reserve", r, change, err);
}

int store_bind(struct store *s, const char *name, const struct store_binding *binding,
	const struct change *change, struct err *err)
{
	int r = tx_begin(s, TX_THIS_BOOT, err);

	if (r == 0)
		r = sql_run(s, SQL_REBIND, err, "tddtt", name, (int64_t)binding->pid,
			(int64_t)binding->pid_start, binding->container, via_name(binding->via));
	if (r == 0)
		r = sql_run(s, SQL_BIND, err, "tttddddt", name, binding->container, binding->cgroup,
			(int64_t)binding->pid, (int64_t)binding->pid_start,
			(int64_t)binding->program, (int64_t)binding->by_attach,
			via_name(binding->via));
	return tx_end(s, "bind", no_such(name, r, err), change, err);
}

int store_unbind(struct store *s, const char *name, pid_t pid, uint64_t pid_start,
	const struct change *change, struct err *err)
{
	int r = tx_begin(s, TX_THIS_BOOT, err), threads = 0;

	if (r == 0)
		r = no_such(name,
			sql_run(s, SQL_UNBIND, err, "tdd", name, (int64_t)pid, (int64_t)pid_start),
			err);
	if (r > 0)
		threads = sql_run(s, SQL_UNBIND_THREADS, err, "t", name);
	return tx_end(s, "unbind", threads < 0 ? threads : r, change, err);
}

int store_release(
	struct store *s, const char *name, bool lazy, const struct change *change, struct err *err)
{
	int r = tx_begin(s, lazy ? TX_THIS_BOOT : TX_FOR_GOOD, err);

	if (r == 0)
		r = sql_run(s, SQL_RELEASE, err, "t", name);
	return tx_end(s, "release", no_such(name, r, err), change, err);
}

int store_attach(struct store *s, const char *name, pid_t tid, uint64_t start,
	const struct change *change, struct err *err)
{
	int r = tx_begin(s, TX_THIS_BOOT, err);

	if (r == 0)
		r = sql_run(s, SQL_ATTACH, err, "tdd", name, (int64_t)tid, (int64_t)start);
	return tx_end(s, "attach", no_such(name, r, err), change, err);
}

int store_detach(
	struct store *s, const char *name, pid_t tid, const struct change *change, struct err *err)
{
	int r = tx_begin(s, TX_THIS_BOOT, err);

	if (r == 0)
		r = sql_run(s, SQL_DETACH, err, "td", name, (int64_t)tid);
	return tx_end(s, "detach", r, change, err);
}

int store_change(struct store *s, const struct change *change, struct err *err)
{
	return tx_end(s, "change", tx_begin(s, TX_THIS_BOOT, err), change, err);
}

static const char *column_text(sqlite3_stmt *row, int column)
{
	return (const char *)sqlite3_column_text(row, column);
}

static int column_name(
	struct store *s, sqlite3_stmt *row, char name[static RESV_NAME_MAX + 1], struct err *err)
{
	const char *text = column_text(row, 0);

	if (!text)
		return store_error(s, SQLITE_NOMEM, err);
	if (strlen(text) > RESV_NAME_MAX)
		return store_error(s, SQLITE_CORRUPT, err);
	strcpy(name, text);
	return 0;
}

/* What a row means to the one who reads. */
typedef int row_fn(struct store *s, sqlite3_stmt *row, const struct store_reader *reader, void *ctx,
	struct err *err);

static int resv_row(struct store *s, sqlite3_stmt *row, const struct store_reader *reader,
	void *ctx, struct err *err)
{
	struct store_resv resv = {
		.document = column_text(row, 1),
		.placement = placement_parse(column_text(row, 2) ?: ""),
		.test = column_text(row, 3),
		.reason = column_text(row, 4),
		.has_bound = sqlite3_column_type(row, 5) != SQLITE_NULL,
		.bound_ns = (nsec_t)sqlite3_column_int64(row, 5),
		.transient = sqlite3_column_int(row, 6) != 0,
		.shareable = sqlite3_column_int(row, 7) != 0,
		.created_ms = sqlite3_column_int64(row, 8),
		.cpus = column_text(row, 9),
	};
	int r = column_name(s, row, resv.name, err);

	if (r < 0)
		return r;
	if (!resv.document)
		return store_error(s, SQLITE_NOMEM, err);
	return reader->resv(ctx, &resv);
}

static int binding_row(struct store *s, sqlite3_stmt *row, const struct store_reader *reader,
	void *ctx, struct err *err)
{
	char name[RESV_NAME_MAX + 1];
	struct store_binding binding = {
		.container = column_text(row, 1),
		.cgroup = column_text(row, 2),
		.pid = (pid_t)sqlite3_column_int64(row, 3),
		.pid_start = (uint64_t)sqlite3_column_int64(row, 4),
		.program = (uint64_t)sqlite3_column_int64(row, 5),
		.by_attach = sqlite3_column_int(row, 6) != 0,
		.via = via_parse(column_text(row, 7)),
	};
	int r = column_name(s, row, name, err);

	return r < 0 ? r : reader->binding(ctx, name, &binding);
}

static int thread_row(struct store *s, sqlite3_stmt *row, const struct store_reader *reader,
	void *ctx, struct err *err)
{
	struct store_thread thread = {
		.tid = (pid_t)sqlite3_column_int64(row, 1),
		.start = (uint64_t)sqlite3_column_int64(row, 2),
	};
	int r = column_name(s, row, thread.name, err);

	return r < 0 ? r : reader->thread(ctx, &thread);
}

static int load(struct store *s, enum sql which, row_fn *each, const struct store_reader *reader,
	void *ctx, struct err *err)
{
	cleanup_sql sqlite3_stmt *row = NULL;
	int r = sql_open(s, which, &row, err, "");

	while (r == 0) {
		int code = sqlite3_step(row);

		if (code == SQLITE_DONE)
			return 0;
		r = code == SQLITE_ROW ? each(s, row, reader, ctx, err) : store_error(s, code, err);
	}
	return r;
}

int store_load(struct store *s, const struct store_reader *reader, void *ctx, struct err *err)
{
	int r = load(s, SQL_LOAD, resv_row, reader, ctx, err);

	if (r == 0)
		r = load(s, SQL_LOAD_BINDINGS, binding_row, reader, ctx, err);
	return r != 0 ? r : load(s, SQL_LOAD_THREADS, thread_row, reader, ctx, err);
}

int store_history(struct store *s, const char *name,
	int (*each)(void *ctx, const struct change *change), void *ctx, struct err *err)
{
	cleanup_sql sqlite3_stmt *row = NULL;
	int r = sql_open(s, SQL_HISTORY, &row, err, "t", name);

	while (r == 0) {
		struct change change = { 0 };
		int code = sqlite3_step(row);

		if (code == SQLITE_DONE)
			return 0;
		if (code != SQLITE_ROW)
			return store_error(s, code, err);
		change.at_ms = sqlite3_column_int64(row, 0);
		change.name = column_text(row, 1);
		change.what = column_text(row, 2);
		change.why = column_text(row, 3);
		if (!change.name || !change.what || !change.why)
			return store_error(s, SQLITE_NOMEM, err);
		r = each(ctx, &change);
	}
	return r;
}

int store_probe_get(struct store *s, const char *key, char **ret, struct err *err)
{
	cleanup_sql sqlite3_stmt *row = NULL;
	int r = sql_open(s, SQL_PROBE_GET, &row, err, "t", key), code;
	const char *text;
	char *value = NULL;

	if (r < 0)
		return r;
	code = sqlite3_step(row);
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		return store_error(s, code, err);
	if (code == SQLITE_ROW) {
		text = column_text(row, 0);
		value = text ? strdup(text) : NULL;
		if (!value)
			return store_error(s, SQLITE_NOMEM, err);
	}
	*ret = value;
	return 0;
}

int store_probe_put(struct store *s, const char *key, const char *value, struct err *err)
{
	int r = tx_begin(s, TX_THIS_BOOT, err);

	if (r == 0)
		r = sql_run(s, SQL_PROBE_PUT, err, "tt", key, value);
	return tx_end(s, "probe", r, NULL, err);
}
