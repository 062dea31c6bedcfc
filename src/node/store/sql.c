// SPDX-License-Identifier: Apache-2.0
#include "node/store/store_private.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/fault.h"

#define TO_TEXT_(x) #x
#define TO_TEXT(x) TO_TEXT_(x)

static const char *const sql_texts[_SQL_MAX] = {
	[SQL_BEGIN] = "BEGIN IMMEDIATE",
	[SQL_COMMIT] = "COMMIT",
	[SQL_RESERVE] = "INSERT INTO reservation (name, document, placement, test, reason,"
			" bound_ns, transient, shareable, created_ms, cpus)"
			" VALUES (?1, ?2, ?3, ?4, ?5, iif(?6, ?7, NULL), ?8, ?9, ?10, ?11)",
	[SQL_BIND] = "INSERT INTO binding (reservation, container, cgroup, pid, pid_start,"
		     " program, by_attach, via)"
		     " SELECT id, ?2, ?3, ?4, ?5, ?6, ?7, ?8 FROM reservation WHERE name = ?1",
	[SQL_REBIND] = "UPDATE binding SET container = ?4, via = ?5 WHERE pid = ?2"
		       " AND pid_start = ?3"
		       " AND reservation = (SELECT id FROM reservation WHERE name = ?1)",
	[SQL_UNBIND] = "DELETE FROM binding WHERE pid = ?2 AND pid_start = ?3"
		       " AND reservation = (SELECT id FROM reservation WHERE name = ?1)",
	[SQL_UNBIND_THREADS] = "DELETE FROM thread"
			       " WHERE reservation = (SELECT id FROM reservation WHERE name = ?1)"
			       " AND NOT EXISTS (SELECT 1 FROM binding"
			       " WHERE binding.reservation = thread.reservation)",
	[SQL_RELEASE] = "DELETE FROM reservation WHERE name = ?1",
	[SQL_ATTACH] = "INSERT OR REPLACE INTO thread (reservation, tid, start)"
		       " SELECT id, ?2, ?3 FROM reservation WHERE name = ?1",
	[SQL_DETACH] = "DELETE FROM thread WHERE tid = ?2"
		       " AND reservation = (SELECT id FROM reservation WHERE name = ?1)",
	[SQL_LOAD] = "SELECT name, document, placement, test, reason, bound_ns, transient,"
		     " shareable, created_ms, cpus FROM reservation ORDER BY id",
	[SQL_LOAD_BINDINGS] = "SELECT r.name, b.container, b.cgroup, b.pid, b.pid_start,"
			      " b.program, b.by_attach, b.via FROM binding b"
			      " JOIN reservation r ON r.id = b.reservation ORDER BY b.id",
	[SQL_LOAD_THREADS] = "SELECT r.name, t.tid, t.start FROM thread t"
			     " JOIN reservation r ON r.id = t.reservation ORDER BY t.id",
	[SQL_CHANGE] = "INSERT INTO history (at_ms, name, what, why, seq)"
		       " VALUES (?1, ?2, ?3, substr(?4, 1, 1000), 1 + coalesce("
		       "(SELECT max(seq) FROM history WHERE name = ?2), 0))",
	[SQL_CHANGE_TRIM_NAME] = "DELETE FROM history WHERE name = ?1 AND seq <="
				 " (SELECT max(seq) FROM history WHERE name = ?1)"
				 " - " TO_TEXT(STORE_HISTORY_NAME_MAX),
	[SQL_CHANGE_TRIM] = "DELETE FROM history WHERE id IN"
			    " (SELECT id FROM history ORDER BY id LIMIT ?1)",
	[SQL_HISTORY] = "SELECT at_ms, name, what, why FROM history WHERE name = ?1 ORDER BY seq",
	[SQL_PROBE_GET] = "SELECT value FROM probe WHERE key = ?1",
	[SQL_PROBE_PUT] = "INSERT OR REPLACE INTO probe (key, value) VALUES (?1, ?2)",
	[SQL_PROBE_CLEAR] = "DELETE FROM probe",
	[SQL_BOOT_GET] = "SELECT value FROM meta WHERE key = 'boot_id'",
	[SQL_BOOT_PUT] = "INSERT OR REPLACE INTO meta (key, value) VALUES ('boot_id', ?1)",
	[SQL_BOOT_UNBIND] = "DELETE FROM binding",
	[SQL_BOOT_DETACH] = "DELETE FROM thread",
};

static int io_error(const struct store *s, struct err *err)
{
	int code = sqlite3_system_errno(s->db);

	if (code == ENOSPC || code == EDQUOT)
		return store_error(s, SQLITE_FULL, err);
	if (code == EROFS)
		return store_error(s, SQLITE_READONLY, err);
	if (code == 0)
		return err_set(err, -EIO, "the disk of %s fails (%s): look at the kernel's log",
			s->dir, sqlite3_errmsg(s->db));
	return err_set_errno(err, -EIO, "the disk of %s fails (errno %d): look at the kernel's log",
		s->dir, code);
}

int store_error(const struct store *s, int code, struct err *err)
{
	switch (code & 0xff) {
	case SQLITE_FULL:
		return err_set(err, -ENOSPC,
			"no room is left on the disk of %s: free some and try again; nothing was "
			"changed",
			s->dir);
	case SQLITE_READONLY:
		return err_set(err, -EROFS,
			"%s cannot be written to, its disk is read-only: mount it read-write and "
			"try again",
			s->dir);
	case SQLITE_NOMEM:
		return err_set(err, -ENOMEM, "out of memory for %s/" STORE_FILE, s->dir);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return err_set(err, -EBADMSG,
			"%s/" STORE_FILE " is damaged: restart taktd, which sets it aside and says "
			"so",
			s->dir);
	case SQLITE_TOOBIG:
		return err_set(err, -EMSGSIZE, "a text of more than %d bytes is not stored",
			STORE_TEXT_MAX);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return err_set(
			err, -EBUSY, "another program has %s/" STORE_FILE " open: end it", s->dir);
	case SQLITE_IOERR:
		return io_error(s, err);
	default:
		return err_set(err, -EIO, "%s/" STORE_FILE ": %s", s->dir, sqlite3_errmsg(s->db));
	}
}

void sql_done(sqlite3_stmt **statement)
{
	if (!*statement)
		return;
	sqlite3_reset(*statement);
	sqlite3_clear_bindings(*statement);
}

static int sql_bind(sqlite3_stmt *statement, const char *types, va_list ap)
{
	int code = SQLITE_OK;

	for (int i = 1; code == SQLITE_OK && *types; i++, types++) {
		if (*types == 't')
			code = sqlite3_bind_text(
				statement, i, va_arg(ap, const char *), -1, SQLITE_STATIC);
		else
			code = sqlite3_bind_int64(statement, i, va_arg(ap, int64_t));
	}
	return code;
}

static int sql_prepare(struct store *s, enum sql which)
{
	if (s->statements[which])
		return SQLITE_OK;
	return sqlite3_prepare_v3(s->db, sql_texts[which], -1, SQLITE_PREPARE_PERSISTENT,
		&s->statements[which], NULL);
}

int sql_prepare_all(struct store *s)
{
	int code = SQLITE_OK;

	for (enum sql which = 0; code == SQLITE_OK && which < _SQL_MAX; which++)
		code = sql_prepare(s, which);
	return code;
}

static int sql_vopen(struct store *s, enum sql which, sqlite3_stmt **ret, struct err *err,
	const char *types, va_list ap)
{
	cleanup_sql sqlite3_stmt *statement = NULL;
	int code = sql_prepare(s, which);

	statement = s->statements[which];
	if (code == SQLITE_OK)
		code = sql_bind(statement, types, ap);
	if (code != SQLITE_OK)
		return store_error(s, code, err);
	*ret = TAKE(statement);
	return 0;
}

int sql_open(struct store *s, enum sql which, sqlite3_stmt **ret, struct err *err,
	const char *types, ...)
{
	va_list ap;
	int r;

	va_start(ap, types);
	r = sql_vopen(s, which, ret, err, types, ap);
	va_end(ap);
	return r;
}

int sql_run(struct store *s, enum sql which, struct err *err, const char *types, ...)
{
	cleanup_sql sqlite3_stmt *statement = NULL;
	va_list ap;
	int r, code;

	va_start(ap, types);
	r = sql_vopen(s, which, &statement, err, types, ap);
	va_end(ap);
	if (r < 0)
		return r;
	code = sqlite3_step(statement);
	if (code == SQLITE_DONE)
		return sqlite3_changes(s->db);
	if (code == SQLITE_CONSTRAINT_UNIQUE)
		return err_set(err, -EEXIST, "a reservation of this name is stored already");
	return store_error(s, code, err);
}

/*
 * Not a cached statement: this pragma acts when it is compiled, not when it is stepped
 * (sqlite.org/pragma.html, "Some pragmas run during the SQL compilation stage").
 */
static int tx_sync(struct store *s, enum tx_life life, struct err *err)
{
	int code = sqlite3_exec(s->db,
		life == TX_FOR_GOOD ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL",
		NULL, NULL, NULL);

	return code == SQLITE_OK ? 0 : store_error(s, code, err);
}

int tx_begin(struct store *s, enum tx_life life, struct err *err)
{
	int r = tx_sync(s, life, err);

	if (r == 0)
		r = sql_run(s, SQL_BEGIN, err, "");
	s->n_history_new = s->n_history;
	return r < 0 ? r : 0;
}

static int change_add(struct store *s, const struct change *change, struct err *err)
{
	int r = sql_run(
		s, SQL_CHANGE, err, "dttt", change->at_ms, change->name, change->what, change->why);

	if (r < 0)
		return r;
	s->n_history_new++;
	r = sql_run(s, SQL_CHANGE_TRIM_NAME, err, "t", change->name);
	if (r < 0)
		return r;
	s->n_history_new -= r;
	if (s->n_history_new <= STORE_HISTORY_MAX)
		return 0;
	r = sql_run(s, SQL_CHANGE_TRIM, err, "d", s->n_history_new - STORE_HISTORY_MAX);
	s->n_history_new -= r > 0 ? r : 0;
	return r;
}

int tx_end(struct store *s, const char *what, int r, const struct change *change, struct err *err)
{
	if (r >= 0 && change)
		r = change_add(s, change, err);
	fault_point("store.%s.commit", what);
	if (r >= 0)
		r = sql_run(s, SQL_COMMIT, err, "");
	if (r >= 0) {
		fault_point("store.%s.committed", what);
		s->n_history = s->n_history_new;
		return 0;
	}
	if (!sqlite3_get_autocommit(s->db))
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	return r;
}
