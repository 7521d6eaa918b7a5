// The newer migrations, one text each; schema.cpp holds the first ones and their order. Private to
// the store.
#pragma once

namespace gatehouse::store {

// What was approved is shown before it is charged, and stands as it was looked at: of a sheet and
// its shares only the state moves, and an amount that was charged is a fee in the ledger.
inline constexpr const char* kPools = R"sql(
CREATE TABLE pool_sheet(
  event INTEGER PRIMARY KEY REFERENCES event(seq), pool TEXT NOT NULL, month TEXT NOT NULL,
  state TEXT NOT NULL CHECK(state IN ('approved', 'withdrawn', 'charged')),
  charge_from TEXT NOT NULL, amount INTEGER NOT NULL, by TEXT NOT NULL, second TEXT NOT NULL,
  document TEXT NOT NULL, sha256 TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX pool_sheet_month ON pool_sheet(pool, month) WHERE state <> 'withdrawn';
CREATE TABLE pool_share(
  event INTEGER NOT NULL REFERENCES pool_sheet(event), n INTEGER NOT NULL, unit TEXT NOT NULL,
  account INTEGER REFERENCES account(id), weight INTEGER NOT NULL, amount INTEGER NOT NULL,
  state TEXT NOT NULL CHECK(state IN ('waiting', 'charged', 'left')), PRIMARY KEY(event, n)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER pool_sheet_keeps
BEFORE UPDATE OF event,pool,month,charge_from,amount,by,second,document,sha256 ON pool_sheet
BEGIN SELECT RAISE(ABORT, 'an approved sheet is not changed'); END;
CREATE TRIGGER pool_sheet_ends BEFORE UPDATE OF state ON pool_sheet WHEN OLD.state <> 'approved'
BEGIN SELECT RAISE(ABORT, 'a sheet that was charged or withdrawn is not changed'); END;
CREATE TRIGGER pool_sheet_stays BEFORE DELETE ON pool_sheet
BEGIN SELECT RAISE(ABORT, 'an approved sheet is not changed'); END;
CREATE TRIGGER pool_share_keeps
BEFORE UPDATE OF event,n,unit,account,weight,amount ON pool_share
BEGIN SELECT RAISE(ABORT, 'an approved sheet is not changed'); END;
CREATE TRIGGER pool_share_stays BEFORE DELETE ON pool_share
BEGIN SELECT RAISE(ABORT, 'an approved sheet is not changed'); END;
)sql";

// A look into a household's file that somebody outside customer service asked for, and what the
// head said to it.
inline constexpr const char* kPeopleAccess = R"sql(
CREATE TABLE file_access(
  id INTEGER PRIMARY KEY, staff TEXT NOT NULL, unit TEXT NOT NULL, reason TEXT NOT NULL,
  hours INTEGER NOT NULL, asked_at_ms INTEGER NOT NULL,
  state TEXT NOT NULL CHECK(state IN ('asked', 'granted', 'refused')),
  answered_by TEXT NOT NULL, answer TEXT NOT NULL, expires_at_ms INTEGER
) STRICT;
-- Entries whose people were logged in when they signed.
CREATE TABLE entry_vouched(entry INTEGER PRIMARY KEY REFERENCES entry(seq)) STRICT;
CREATE INDEX file_access_staff ON file_access(staff, unit);
CREATE TRIGGER view_log_keeps BEFORE UPDATE ON view_log
BEGIN SELECT RAISE(ABORT, 'the view log is append-only'); END;
)sql";

}  // namespace gatehouse::store
