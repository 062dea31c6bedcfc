// SPDX-License-Identifier: Apache-2.0
/*
 * The shape of the tables. A later version adds a row to `migrations`, never changes one: the
 * index is the version that it starts from. application_id and user_version are part of the
 * database header, so they change in the same transaction (sqlite.org/pragma.html).
 */
#include "node/store/store_private.h"

#include <inttypes.h>

#include "base/cleanup.h"

static int migrate_0(sqlite3 *db)
{
	return sqlite3_exec(db,
		"CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)"
		" STRICT, WITHOUT ROWID;"
		"CREATE TABLE reservation (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
		" document TEXT NOT NULL, container TEXT, cgroup TEXT, pid INTEGER NOT NULL,"
		" pid_start INTEGER NOT NULL, program INTEGER NOT NULL,"
		" by_attach INTEGER NOT NULL, placement TEXT NOT NULL, test TEXT, reason TEXT,"
		" bound_ns INTEGER, transient INTEGER NOT NULL, created_ms INTEGER NOT NULL) STRICT;"
		"CREATE TABLE thread (id INTEGER PRIMARY KEY, tid INTEGER NOT NULL UNIQUE,"
		" start INTEGER NOT NULL, reservation INTEGER NOT NULL"
		" REFERENCES reservation (id) ON DELETE CASCADE) STRICT;"
		"CREATE INDEX thread_of ON thread (reservation);"
		"CREATE TABLE history (id INTEGER PRIMARY KEY, name TEXT NOT NULL,"
		" seq INTEGER NOT NULL, at_ms INTEGER NOT NULL, what TEXT NOT NULL,"
		" why TEXT NOT NULL, UNIQUE (name, seq)) STRICT;"
		"CREATE TABLE probe (key TEXT PRIMARY KEY, value TEXT NOT NULL)"
		" STRICT, WITHOUT ROWID;",
		NULL, NULL, NULL);
}

/* Several containers may hold one reservation. */
static int migrate_1(sqlite3 *db)
{
	return sqlite3_exec(db,
		"CREATE TABLE binding (id INTEGER PRIMARY KEY, reservation INTEGER NOT NULL"
		" REFERENCES reservation (id) ON DELETE CASCADE, container TEXT, cgroup TEXT,"
		" pid INTEGER NOT NULL, pid_start INTEGER NOT NULL, program INTEGER NOT NULL,"
		" by_attach INTEGER NOT NULL) STRICT;"
		"CREATE INDEX binding_of ON binding (reservation);"
		"INSERT INTO binding (reservation, container, cgroup, pid, pid_start, program,"
		" by_attach) SELECT id, container, cgroup, pid, pid_start, program, by_attach"
		" FROM reservation WHERE pid != 0;"
		"ALTER TABLE reservation DROP COLUMN container;"
		"ALTER TABLE reservation DROP COLUMN cgroup;"
		"ALTER TABLE reservation DROP COLUMN pid;"
		"ALTER TABLE reservation DROP COLUMN pid_start;"
		"ALTER TABLE reservation DROP COLUMN program;"
		"ALTER TABLE reservation DROP COLUMN by_attach;"
		"ALTER TABLE reservation ADD COLUMN shareable INTEGER NOT NULL DEFAULT 0;",
		NULL, NULL, NULL);
}

static int migrate_2(sqlite3 *db)
{
	return sqlite3_exec(db, "ALTER TABLE binding ADD COLUMN via TEXT;", NULL, NULL, NULL);
}

/* Which CPUs were promised, so that they stay the same. */
static int migrate_3(sqlite3 *db)
{
	return sqlite3_exec(db, "ALTER TABLE reservation ADD COLUMN cpus TEXT;", NULL, NULL, NULL);
}

static int (*const migrations[])(sqlite3 *db) = {
	migrate_0,
	migrate_1,
	migrate_2,
	migrate_3,
};

int64_t schema_version(void)
{
	return ARRAY_SIZE(migrations);
}

static int set_version(struct store *s)
{
	char text[128];

	snprintf(text, sizeof(text), "PRAGMA application_id = %d; PRAGMA user_version = %" PRId64,
		STORE_APPLICATION_ID, schema_version());
	return sqlite3_exec(s->db, text, NULL, NULL, NULL);
}

int schema_migrate(struct store *s, int64_t from, struct err *err)
{
	int r, code = SQLITE_OK;

	if (from == schema_version())
		return 0;
	r = tx_begin(s, TX_FOR_GOOD, err);
	for (int64_t v = from; r == 0 && code == SQLITE_OK && v < schema_version(); v++)
		code = migrations[v](s->db);
	if (r == 0 && code == SQLITE_OK)
		code = set_version(s);
	if (code != SQLITE_OK)
		r = store_error(s, code, err);
	return tx_end(s, "migrate", r, NULL, err);
}
