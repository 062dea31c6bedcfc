/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the store speaks SQLite: cached statements, transactions, and sentences for what goes
 * wrong. For the files of this folder.
 */
#pragma once

#include <sqlite3.h>

#include "node/store/store.h"

#define STORE_APPLICATION_ID 0x54616b74 /* "Takt"; sqlite.org/fileformat.html, offset 68 */
#define STORE_TEXT_MAX (1 << 20)

#define STORE_LOCK_FILE "takt.lock"

/* What of the lock's file is locked; client/hook/place.c looks at the second, too. */
enum store_lock {
	STORE_LOCK_USE, /* by the agent that has the folder */
	STORE_LOCK_STAND_BY, /* by those that wait for it, together */
};
#define STORE_LOCK(type, at)                                                        \
	{                                                                           \
		.l_type = (type), .l_whence = SEEK_SET, .l_start = (at), .l_len = 1 \
	}

enum sql {
	SQL_BEGIN,
	SQL_COMMIT,
	SQL_RESERVE,
	SQL_BIND,
	SQL_REBIND,
	SQL_UNBIND,
	SQL_UNBIND_THREADS,
	SQL_RELEASE,
	SQL_ATTACH,
	SQL_DETACH,
	SQL_LOAD,
	SQL_LOAD_BINDINGS,
	SQL_LOAD_THREADS,
	SQL_CHANGE,
	SQL_CHANGE_TRIM_NAME,
	SQL_CHANGE_TRIM,
	SQL_HISTORY,
	SQL_PROBE_GET,
	SQL_PROBE_PUT,
	SQL_PROBE_CLEAR,
	SQL_BOOT_GET,
	SQL_BOOT_PUT,
	SQL_BOOT_UNBIND,
	SQL_BOOT_DETACH,
	_SQL_MAX,
};

struct store {
	char *dir;
	int dirfd;
	int lockfd; /* fcntl(2) lock for as long as the store is open */
	sqlite3 *db;
	sqlite3_stmt *statements[_SQL_MAX]; /* prepared when first used */
	int n_frames; /* of the log, since it was copied into the database */
	int64_t n_history; /* rows on disk */
	int64_t n_history_new; /* what they become if the transaction is committed */
};

/* The negative errno of an SQLite result code, and the sentence. */
int store_error(const struct store *s, int code, struct err *err);

/* An SQLite code; SQLITE_ERROR: the tables are not as they should be. */
int sql_prepare_all(struct store *s);

/*
 * Binds the arguments that `types` names, one letter each: t `const char *` (NULL: SQL NULL),
 * d int64_t. *ret is ready for sqlite3_step(); give it back with sql_done().
 */
int sql_open(struct store *s, enum sql which, sqlite3_stmt **ret, struct err *err,
	const char *types, ...);
void sql_done(sqlite3_stmt **statement);
#define cleanup_sql __attribute__((cleanup(sql_done)))

/* Runs a statement that gives no rows; returns how many rows it changed. */
int sql_run(struct store *s, enum sql which, struct err *err, const char *types, ...);

/*
 * How long a change must last. What ends with the boot needs no fsync: it is safe from a crash of
 * ours in the kernel's memory, and a crash of the machine ends it anyway. In WAL mode,
 * synchronous = NORMAL does not sync a commit (SQLite, "PRAGMA synchronous").
 */
enum tx_life {
	TX_FOR_GOOD,
	TX_THIS_BOOT,
};

int tx_begin(struct store *s, enum tx_life life, struct err *err); /* 0 or the error */
/*
 * Ends it, also one that did not begin: if r >= 0 writes the history row and commits, else rolls
 * back. Returns 0 or the error. `what` names the fault points around the commit.
 */
int tx_end(struct store *s, const char *what, int r, const struct change *change, struct err *err);

/* Brings the tables to this version's shape, in one transaction. */
int schema_migrate(struct store *s, int64_t from, struct err *err);
int64_t schema_version(void);

/* The state folder: made, opened and locked for us alone. */
int folder_open(struct store *s, struct err *err);
int folder_lock(struct store *s, struct err *err);
int folder_stand_by(struct store *s, struct err *err); /* instead of folder_lock() */

/* What is wrong with the files, before SQLite touches them; NULL: nothing. */
const char *files_fault(const struct store *s);

/* An empty database where there is none; SQLite gives the log its mode. */
int database_make(struct store *s, bool *ret_created, struct err *err);

/* Renames the database and what belongs to it; report->set_aside is the new name. */
int files_set_aside(struct store *s, struct store_opened *report, struct err *err);
