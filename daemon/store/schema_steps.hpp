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

// What cabinets and the desk say of keys, and the tickets they are taken for. Events and moves are
// never changed; loans follow from events, and links are appended and pointed away from.
inline constexpr const char* kKeysTickets = R"sql(
CREATE TABLE key_event(
  id INTEGER PRIMARY KEY, source TEXT NOT NULL, boot INTEGER NOT NULL, seq INTEGER NOT NULL,
  event INTEGER NOT NULL REFERENCES event(seq), at_ms INTEGER NOT NULL,
  received_ms INTEGER NOT NULL, fold TEXT NOT NULL CHECK(fold IN ('fresh', 'folded', 'late')),
  body TEXT NOT NULL, UNIQUE(source, boot, seq)
) STRICT;
CREATE INDEX key_event_fresh ON key_event(fold) WHERE fold = 'fresh';
CREATE INDEX key_event_row ON key_event(source, event);
CREATE TRIGGER key_event_keeps BEFORE UPDATE OF source,boot,seq,event,at_ms,received_ms,body
ON key_event BEGIN SELECT RAISE(ABORT, 'what a cabinet said is not changed'); END;
CREATE TABLE key_base(
  kind TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY(kind, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE key_loan(
  id TEXT PRIMARY KEY, key TEXT NOT NULL, holder TEXT NOT NULL, out_ms INTEGER NOT NULL,
  in_ms INTEGER, body TEXT NOT NULL
) STRICT;
CREATE INDEX key_loan_key ON key_loan(key, out_ms);
CREATE INDEX key_loan_out ON key_loan(out_ms);
CREATE TABLE key_link(
  id INTEGER PRIMARY KEY, loan TEXT NOT NULL, ticket TEXT NOT NULL, kind TEXT NOT NULL,
  main INTEGER NOT NULL, by TEXT NOT NULL, at_ms INTEGER NOT NULL, superseded INTEGER
) STRICT;
CREATE INDEX key_link_loan ON key_link(loan);
CREATE INDEX key_link_ticket ON key_link(ticket);
CREATE TRIGGER key_link_keeps BEFORE UPDATE OF loan,ticket,kind,main,by,at_ms ON key_link
BEGIN SELECT RAISE(ABORT, 'links are appended, never edited'); END;
CREATE TABLE ticket(
  number TEXT PRIMARY KEY, kind TEXT NOT NULL, state TEXT NOT NULL, unit TEXT NOT NULL,
  category TEXT NOT NULL, external_no TEXT NOT NULL, reported_ms INTEGER NOT NULL,
  ended_ms INTEGER, body TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX ticket_external ON ticket(external_no) WHERE external_no <> '';
CREATE INDEX ticket_reported ON ticket(reported_ms, number);
CREATE INDEX ticket_ended ON ticket(ended_ms);
CREATE INDEX ticket_unit ON ticket(unit);
CREATE TABLE ticket_move(
  id INTEGER PRIMARY KEY, ticket TEXT NOT NULL REFERENCES ticket(number), action TEXT NOT NULL,
  from_state TEXT NOT NULL, to_state TEXT NOT NULL, by TEXT NOT NULL, note TEXT NOT NULL,
  at_ms INTEGER NOT NULL, event INTEGER NOT NULL REFERENCES event(seq)
) STRICT;
CREATE INDEX ticket_move_ticket ON ticket_move(ticket);
CREATE INDEX ticket_move_at ON ticket_move(at_ms);
CREATE TRIGGER ticket_move_keeps BEFORE UPDATE ON ticket_move
BEGIN SELECT RAISE(ABORT, 'moves are appended, never edited'); END;
CREATE TABLE key_told(
  code TEXT NOT NULL, fact TEXT NOT NULL, at_ms INTEGER NOT NULL, PRIMARY KEY(code, fact)
) STRICT, WITHOUT ROWID;
CREATE TABLE office_register(
  id INTEGER PRIMARY KEY, kind TEXT NOT NULL, unit TEXT NOT NULL, subject TEXT NOT NULL,
  at_ms INTEGER NOT NULL, event INTEGER NOT NULL REFERENCES event(seq), body TEXT NOT NULL
) STRICT;
CREATE INDEX office_register_kind ON office_register(kind, subject);
CREATE INDEX office_register_unit ON office_register(unit);
CREATE TRIGGER office_register_keeps BEFORE UPDATE ON office_register
BEGIN SELECT RAISE(ABORT, 'registers are appended, never edited'); END;
)sql";

// Who agreed to an erasure and when, since the event that tells of it may be of a restored copy's
// future; where a token may come from; and looks into files go by retention alone.
inline constexpr const char* kErasures = R"sql(
ALTER TABLE erasure ADD COLUMN second TEXT NOT NULL DEFAULT '';
ALTER TABLE erasure ADD COLUMN at_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE token ADD COLUMN addresses TEXT NOT NULL DEFAULT '';
ALTER TABLE maintenance ADD COLUMN views_up_to INTEGER;
CREATE UNIQUE INDEX erasure_person ON erasure(person);
CREATE TRIGGER view_log_stays BEFORE DELETE ON view_log
WHEN NOT EXISTS(SELECT 1 FROM maintenance WHERE OLD.id <= views_up_to)
BEGIN SELECT RAISE(ABORT, 'the view log is append-only'); END;
CREATE TRIGGER erasure_keeps BEFORE UPDATE ON erasure
BEGIN SELECT RAISE(ABORT, 'erasures are append-only'); END;
CREATE TRIGGER erasure_stays BEFORE DELETE ON erasure
BEGIN SELECT RAISE(ABORT, 'erasures are append-only'); END;
)sql";

// What is forgotten of keys is found without a walk over all of them: denied attempts before the
// rest.
inline constexpr const char* kKeyRetention = R"sql(
CREATE INDEX key_event_received ON key_event(received_ms);
CREATE INDEX key_event_denied ON key_event(received_ms)
WHERE instr(body, '"type":"access.denied"') > 0;
CREATE INDEX key_loan_in ON key_loan(in_ms);
)sql";

// Whose use a meter counted from an instant on, where it was charged to the wrong place: the steps
// stand as they were taken, and a replay reads them as this says.
inline constexpr const char* kRemaps = R"sql(
CREATE TABLE remap(
  event INTEGER NOT NULL, meter INTEGER NOT NULL REFERENCES meter(id), from_ms INTEGER NOT NULL,
  through_step INTEGER NOT NULL, through_reading INTEGER NOT NULL,
  account INTEGER NOT NULL REFERENCES account(id), tariff TEXT NOT NULL, persons INTEGER NOT NULL,
  PRIMARY KEY(meter, event)
) STRICT, WITHOUT ROWID;
CREATE INDEX remap_account ON remap(account);
CREATE TRIGGER remap_keeps BEFORE UPDATE ON remap
BEGIN SELECT RAISE(ABORT, 'what was re-mapped is append-only'); END;
CREATE TRIGGER remap_stays BEFORE DELETE ON remap
BEGIN SELECT RAISE(ABORT, 'what was re-mapped is append-only'); END;
)sql";

// Words that people wrote beside keys and tickets may be taken away, and nothing else of those rows
// may change: a body only ever becomes shorter, and a note empty. What was taken away is not looked
// at, since a trigger may not parse JSON where the schema is not trusted.
inline constexpr const char* kOfficeWords = R"sql(
DROP TRIGGER key_event_keeps;
CREATE TRIGGER key_event_keeps BEFORE UPDATE OF source,boot,seq,event,at_ms,received_ms
ON key_event BEGIN SELECT RAISE(ABORT, 'what a cabinet said is not changed'); END;
CREATE TRIGGER key_event_words BEFORE UPDATE OF body ON key_event
WHEN NEW.body <> OLD.body AND length(NEW.body) >= length(OLD.body)
BEGIN SELECT RAISE(ABORT, 'what a cabinet said is not changed'); END;
DROP TRIGGER ticket_move_keeps;
CREATE TRIGGER ticket_move_keeps
BEFORE UPDATE OF ticket,action,from_state,to_state,by,at_ms,event ON ticket_move
BEGIN SELECT RAISE(ABORT, 'moves are appended, never edited'); END;
CREATE TRIGGER ticket_move_words BEFORE UPDATE OF note ON ticket_move WHEN NEW.note <> ''
BEGIN SELECT RAISE(ABORT, 'moves are appended, never edited'); END;
DROP TRIGGER office_register_keeps;
CREATE TRIGGER office_register_keeps BEFORE UPDATE OF kind,unit,subject,at_ms,event
ON office_register BEGIN SELECT RAISE(ABORT, 'registers are appended, never edited'); END;
CREATE TRIGGER office_register_words BEFORE UPDATE OF body ON office_register
WHEN NEW.body <> OLD.body AND length(NEW.body) >= length(OLD.body)
BEGIN SELECT RAISE(ABORT, 'registers are appended, never edited'); END;
CREATE INDEX ticket_words ON ticket(ended_ms) WHERE instr(body, '"text":"***"') = 0;
CREATE INDEX key_loan_holder ON key_loan(holder);
)sql";

// Who signed what came late may have been logged in, and the entries that follow from it days later
// say so. A payment is found by the number that its bank gave it.
inline constexpr const char* kSigned = R"sql(
ALTER TABLE settling_cause
ADD COLUMN vouched INTEGER NOT NULL DEFAULT 0 CHECK(vouched IN (0, 1));
CREATE INDEX entry_text_reference ON entry_text(reference) WHERE reference <> '';
)sql";

// Rows that neither a chain nor a replay rests on carry a number that their columns give: interval
// readings, the registry's prices and terms, who signed an act. Readings of before have none.
inline constexpr const char* kRowProofs = R"sql(
ALTER TABLE reading ADD COLUMN proof INTEGER;
CREATE TABLE row_proof(
  place TEXT NOT NULL, owner TEXT NOT NULL, row TEXT NOT NULL, proof INTEGER NOT NULL,
  PRIMARY KEY(place, owner, row)
) STRICT, WITHOUT ROWID;
-- Readings where charging began: they stay when interval readings are dropped.
CREATE INDEX mark_step_begins ON mark_step(reading) WHERE begins <> 0;
)sql";

// A price that came late may have edges of bands where nobody took a freeze. What samples told of
// the totals there when it was settled stands here for good: they themselves are dropped.
inline constexpr const char* kEdgeFigures = R"sql(
CREATE TABLE edge_figure(
  account INTEGER NOT NULL REFERENCES account(id), meter INTEGER NOT NULL REFERENCES meter(id),
  reading INTEGER NOT NULL,  -- with which the stretch of use ends
  at_ms INTEGER NOT NULL, event INTEGER NOT NULL, total INTEGER NOT NULL,
  PRIMARY KEY(account, reading, at_ms, event)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER edge_figure_keeps BEFORE UPDATE ON edge_figure
BEGIN SELECT RAISE(ABORT, 'figures at edges are append-only'); END;
CREATE TRIGGER edge_figure_stays BEFORE DELETE ON edge_figure
BEGIN SELECT RAISE(ABORT, 'figures at edges are append-only'); END;
)sql";

}  // namespace gatehouse::store
