// SPDX-License-Identifier: Apache-2.0
/*
 * Opening is finding out what is there, in an order that never destroys anything: the lock first;
 * then a look at the files without writing (SQLite would silently delete a log without its
 * database); then SQLite, reading only, until the database is known to be ours and whole. What is
 * not is renamed, once, and the second look finds nothing.
 */
#include "node/store/store_private.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/cleanup.h"

#define LOG_FRAMES 256 /* of a page each, 1 MiB: then it is copied into the database */
#define LOG_LENGTH (LOG_FRAMES + 32) /* with the transaction that comes to so many */
#define LOG_ROOM (16u << 20) /* of a disk with less free the log takes what it needs */

CLEANUP_DEFINE(struct store *, store_close)
#define cleanup_store __attribute__((cleanup(store_close_p)))

static int db_read_int(sqlite3 *db, const char *query, int64_t *ret)
{
	sqlite3_stmt *statement = NULL;
	int code = sqlite3_prepare_v2(db, query, -1, &statement, NULL);

	if (code == SQLITE_OK)
		code = sqlite3_step(statement);
	if (code == SQLITE_ROW)
		*ret = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return code == SQLITE_ROW ? SQLITE_OK : code;
}

/* SQLITE_CORRUPT and what is wrong, if something is. */
static int db_check(sqlite3 *db, char *why, size_t size)
{
	sqlite3_stmt *statement = NULL;
	const char *text = NULL;
	int code = sqlite3_prepare_v2(db, "PRAGMA integrity_check(1)", -1, &statement, NULL);

	if (code == SQLITE_OK)
		code = sqlite3_step(statement);
	if (code == SQLITE_ROW) {
		text = (const char *)sqlite3_column_text(statement, 0);
		code = !text ? SQLITE_NOMEM : strcmp(text, "ok") != 0 ? SQLITE_CORRUPT : SQLITE_OK;
		if (code == SQLITE_CORRUPT)
			snprintf(why, size, "%s", text);
	}
	sqlite3_finalize(statement);
	return code;
}

/* An SQLite code; SQLITE_NOTADB and `why` for a database that is not ours. */
static int db_identify(sqlite3 *db, int64_t *ret_version, char *why, size_t size)
{
	int64_t id = 0, tables = 0;
	int code = db_read_int(db, "PRAGMA application_id", &id);

	if (code == SQLITE_OK)
		code = db_read_int(db, "PRAGMA user_version", ret_version);
	if (code != SQLITE_OK || (id == STORE_APPLICATION_ID && *ret_version > schema_version()))
		return code;
	code = db_read_int(db, "SELECT count(*) FROM sqlite_master", &tables);
	/* SQLITE_ERROR, or a database that is read-only: a format number out of range. */
	if (code == SQLITE_ERROR || (code == SQLITE_OK && sqlite3_db_readonly(db, "main"))) {
		snprintf(why, size, "an unknown database format");
		return SQLITE_NOTADB;
	}
	if (code == SQLITE_OK && !(id == STORE_APPLICATION_ID && *ret_version > 0) &&
		!(id == 0 && *ret_version == 0 && tables == 0)) {
		snprintf(why, size, "another program's database");
		return SQLITE_NOTADB;
	}
	return code == SQLITE_OK ? db_check(db, why, size) : code;
}

/* SQLITE_NOTADB and `why` for tables of this version that do not have what we use. */
static int db_try(struct store *s, char *why, size_t size)
{
	int code = sql_prepare_all(s);

	if (code != SQLITE_ERROR)
		return code;
	snprintf(why, size, "%s", sqlite3_errmsg(s->db));
	return SQLITE_NOTADB;
}

/* A log that a newer version wrote must survive our closing: no checkpoint until it is ours. */
static int db_look(struct store *s, int64_t *ret_version, char *why, size_t size)
{
	int code = sqlite3_exec(s->db, "PRAGMA locking_mode = EXCLUSIVE", NULL, NULL, NULL);

	sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	if (code == SQLITE_OK)
		code = db_identify(s->db, ret_version, why, size);
	if (code == SQLITE_OK && *ret_version == schema_version())
		code = db_try(s, why, size);
	return code;
}

static void db_close(struct store *s)
{
	for (size_t i = 0; i < _SQL_MAX; i++)
		sqlite3_finalize(TAKE(s->statements[i]));
	sqlite3_close(TAKE(s->db));
}

static int db_open(struct store *s, struct err *err)
{
	cleanup_free char *path = NULL;
	int code;

	if (asprintf(&path, "%s/" STORE_FILE, s->dir) < 0)
		return store_error(s, SQLITE_NOMEM, err);
	code = sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (!s->db)
		return store_error(s, SQLITE_NOMEM, err);
	if (code != SQLITE_OK)
		return store_error(s, code, err);
	sqlite3_extended_result_codes(s->db, 1);
	sqlite3_limit(s->db, SQLITE_LIMIT_LENGTH, STORE_TEXT_MAX);
	return 0;
}

/* 1 and `why` for something to set aside. */
static int examine(
	struct store *s, struct store_opened *report, int64_t *ret_version, struct err *err)
{
	const char *fault = files_fault(s);
	int r, code;

	if (fault) {
		snprintf(report->why, sizeof(report->why), "%s", fault);
		return 1;
	}
	r = database_make(s, &report->created, err);
	if (r == 0)
		r = db_open(s, err);
	if (r < 0)
		return r;
	code = db_look(s, ret_version, report->why, sizeof(report->why));
	if ((code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB) {
		if (!report->why[0])
			snprintf(report->why, sizeof(report->why), "%s", sqlite3_errstr(code));
		return 1;
	}
	if (code != SQLITE_OK)
		return store_error(s, code, err);
	if (*ret_version > schema_version())
		return err_set(err, -EPROTONOSUPPORT,
			"%s/" STORE_FILE
			" was written by a newer Takt (schema %d, this one knows %d): "
			"install that version, or name another state folder; nothing was changed",
			s->dir, (int)*ret_version, (int)schema_version());
	return 0;
}

/* Small caches: the agent is to stay within 8 MiB, and reads the store only when it starts. */
static int db_prepare(struct store *s, struct err *err)
{
	int code = sqlite3_exec(s->db,
		"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
		"PRAGMA cache_size = -256; PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0;"
		"PRAGMA journal_size_limit = 2097152",
		NULL, NULL, NULL);

	if (code != SQLITE_OK)
		return store_error(s, code, err);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	return 0;
}

static bool disk_has_room(const struct store *s)
{
	struct statvfs disk;

	return fstatvfs(s->dirfd, &disk) == 0 &&
	       (uint64_t)disk.f_bavail * disk.f_frsize >= LOG_ROOM;
}

static int log_copy(struct store *s, int how)
{
	return sqlite3_wal_checkpoint_v2(s->db, NULL, how, NULL, NULL);
}

/*
 * Writes the log once over the length that it may have; from then on promises overwrite it. A file
 * that grows is synced with the file system's journal, and whatever other programs have in that:
 * fdatasync(2) takes several times as long then. A full disk is no error yet; one that fails is, as
 * what stands in the log after something that was not written is lost with it.
 */
static int log_lengthen(struct store *s, struct err *err)
{
	char same[64];
	int code = sqlite3_exec(s->db, "PRAGMA synchronous = NORMAL", NULL, NULL, NULL), r;

	/* First what an earlier agent left, so that the log is begun anew and not lengthened by it. */
	if (code == SQLITE_OK)
		code = log_copy(s, SQLITE_CHECKPOINT_PASSIVE);
	snprintf(same, sizeof(same), "PRAGMA user_version = %" PRId64, schema_version());
	sqlite3_wal_autocheckpoint(s->db, 0);
	for (unsigned i = 0; code == SQLITE_OK && i < LOG_LENGTH; i++)
		code = sqlite3_exec(s->db, same, NULL, NULL, NULL);
	if (code == SQLITE_OK)
		code = log_copy(s, SQLITE_CHECKPOINT_RESTART);
	if ((code & 0xff) != SQLITE_IOERR)
		return 0;
	r = store_error(s, code, err);
	/* A quota is a full disk as well; at fsync(2) it would be one of what stands there. */
	return r == -ENOSPC && code == SQLITE_IOERR_WRITE ? 0 : r;
}

void store_tidy(struct store *s)
{
	if (s->n_frames < LOG_FRAMES / 2)
		return;
	log_copy(s, SQLITE_CHECKPOINT_PASSIVE);
	s->n_frames = 0;
}

static int on_commit(void *context, sqlite3 *db, const char *name, int frames)
{
	struct store *s = context;

	s->n_frames = frames;
	if (frames >= LOG_FRAMES)
		store_tidy(s);
	return SQLITE_OK;
}

static int boot_drop(struct store *s, const char *boot_id, struct err *err)
{
	int r = tx_begin(s, TX_FOR_GOOD, err);

	if (r == 0)
		r = sql_run(s, SQL_BOOT_UNBIND, err, "");
	if (r >= 0)
		r = sql_run(s, SQL_BOOT_DETACH, err, "");
	if (r >= 0)
		r = sql_run(s, SQL_PROBE_CLEAR, err, "");
	if (r >= 0)
		r = sql_run(s, SQL_BOOT_PUT, err, "t", boot_id);
	return tx_end(s, "boot", r, NULL, err);
}

static int boot_read(
	struct store *s, const char *boot_id, bool *ret_known, bool *ret_same, struct err *err)
{
	cleanup_sql sqlite3_stmt *row = NULL;
	const char *stored;
	int code, r = sql_open(s, SQL_BOOT_GET, &row, err, "");

	if (r < 0)
		return r;
	code = sqlite3_step(row);
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		return store_error(s, code, err);
	stored = code == SQLITE_ROW ? (const char *)sqlite3_column_text(row, 0) : NULL;
	*ret_known = stored;
	*ret_same = stored && strcmp(stored, boot_id) == 0;
	return 0;
}

static int boot_check(struct store *s, const char *boot_id, bool *ret_rebooted, struct err *err)
{
	bool known = false, same = false;
	int r = boot_read(s, boot_id, &known, &same, err);

	if (r < 0 || same)
		return r;
	*ret_rebooted = known;
	return boot_drop(s, boot_id, err);
}

static int history_count(struct store *s, struct err *err)
{
	int code = db_read_int(s->db, "SELECT count(*) FROM history", &s->n_history);

	return code == SQLITE_OK ? 0 : store_error(s, code, err);
}

static int database_begin(struct store *s, struct store_opened *report, struct err *err)
{
	int64_t version = 0;
	int r = examine(s, report, &version, err);

	if (r > 0) {
		db_close(s);
		r = files_set_aside(s, report, err);
		if (r == 0)
			r = examine(s, &(struct store_opened){ 0 }, &version, err);
		if (r > 0)
			r = store_error(s, SQLITE_CORRUPT, err);
	}
	if (r == 0)
		r = db_prepare(s, err);
	return r < 0 ? r : schema_migrate(s, version, err);
}

/* NULL: no memory. */
static struct store *store_create(const char *dir, struct err *err)
{
	cleanup_store struct store *s = calloc(1, sizeof(*s));

	if (s) {
		s->dirfd = s->lockfd = -1;
		s->dir = strdup(dir);
	}
	if (!s || !s->dir) {
		err_set_errno(err, -ENOMEM, "cannot open the store in %s", dir);
		return NULL;
	}
	return TAKE(s);
}

int store_open(const char *dir, const char *boot_id, struct store **ret,
	struct store_opened *ret_report, struct err *err)
{
	cleanup_store struct store *s = store_create(dir, err);
	struct store_opened report = { 0 };
	int r = s ? folder_open(s, err) : -ENOMEM;

	if (r == 0)
		r = folder_lock(s, err);
	if (r == 0)
		r = database_begin(s, &report, err);
	if (r == 0)
		r = boot_check(s, boot_id, &report.rebooted, err);
	if (r == 0)
		r = history_count(s, err);
	if (r < 0)
		return r;
	if (fsync(s->dirfd) < 0)
		return err_set_errno(err, -errno, "cannot write the folder %s to disk", dir);
	if (disk_has_room(s))
		r = log_lengthen(s, err);
	if (r < 0)
		return r;
	sqlite3_wal_hook(s->db, on_commit, s);
	*ret = TAKE(s);
	*ret_report = report;
	return 0;
}

int store_stand_by(const char *dir, int *ret_fd, struct err *err)
{
	cleanup_store struct store *s = store_create(dir, err);
	int r = s ? folder_open(s, err) : -ENOMEM;

	if (r == 0)
		r = folder_stand_by(s, err);
	if (r == 0)
		*ret_fd = TAKE_FD(s->lockfd);
	return r;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	db_close(s);
	if (s->lockfd >= 0)
		close(s->lockfd);
	if (s->dirfd >= 0)
		close(s->dirfd);
	free(s->dir);
	free(s);
}
