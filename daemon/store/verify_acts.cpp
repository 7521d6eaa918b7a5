#include "daemon/store/verify_acts.hpp"

namespace gatehouse::store {
namespace {

struct Rule {
    const char* rows;   // selects the name of the first row that breaks it
    const char* words;  // before that name
};

// Money in a reply is text with two places, so that without its point it is fen.
#define GATEHOUSE_REPLY_FEN(field) \
    "CAST(replace(json_extract(reply,'$." field "'),'.','') AS INTEGER)"

// Of each month the entries between its seal and the next one's: what a later month's range holds
// is judged there, so that every entry is looked at once.
#define GATEHOUSE_AFTER_SEAL(condition)                                               \
    "SELECT 'entry '||e.seq FROM period p JOIN entry e ON e.seq>p.last_entry AND "    \
    "e.seq<=coalesce((SELECT min(n.last_entry) FROM period n WHERE n.month>p.month)," \
    "9223372036854775807) WHERE " condition " LIMIT 1"

// Every month that the log says was closed, whatever became of its rows.
#define GATEHOUSE_CLOSED                                                                \
    " FROM event_about a JOIN event e ON e.seq=a.seq JOIN event_kind k ON k.id=e.kind " \
    "JOIN event_body b ON b.seq=a.seq"
#define GATEHOUSE_CLOSED_WHERE \
    " WHERE a.about>='period:' AND a.about<'period;' AND k.name='period.closed' AND "

constexpr Rule kRules[] = {
    {"SELECT 'entry '||max(seq) FROM entry WHERE kind='topup' GROUP BY cause "
     "HAVING count(*)>1 LIMIT 1",
     "two payments under one key: "},
    {"SELECT 'entry '||max(seq) FROM entry WHERE kind IN "
     "('refund','round_off','transfer','adjustment','reversal','write_off') "
     "GROUP BY account,kind,cause HAVING count(*)>1 LIMIT 1",
     "one act was booked twice under its key: "},
    {"SELECT 'key '||key FROM idempotency WHERE json_valid(reply) "
     "AND json_extract(reply,'$.entry') IS NOT NULL AND NOT EXISTS(SELECT 1 FROM entry "
     "WHERE entry.entry=json_extract(reply,'$.entry') AND entry.kind=json_extract(reply,'$.kind') "
     "AND entry.account=(SELECT id FROM account WHERE "
     "account.account=json_extract(reply,'$.account'))) LIMIT 1",
     "what was answered is not in the ledger: "},
    {"SELECT 'key '||key FROM idempotency WHERE route='topup' AND json_valid(reply) "
     "AND json_extract(reply,'$.hoarding_cap') IS NOT NULL "
     "AND " GATEHOUSE_REPLY_FEN("balance") ">" GATEHOUSE_REPLY_FEN("hoarding_cap") " LIMIT 1",
     "a top-up beyond the hoarding cap: "},
    {"SELECT 'entry '||max(seq) FROM entry WHERE reverses IS NOT NULL GROUP BY reverses "
     "HAVING count(*)>1 LIMIT 1",
     "an entry that was undone twice: "},
    {"SELECT 'entry '||a.seq FROM entry a JOIN entry b ON b.entry=a.reverses "
     "WHERE a.kind='reversal' AND (b.kind NOT IN ('topup','fee','refund') "
     "OR a.account IS NOT b.account OR b.seq>=a.seq) LIMIT 1",
     "a reversal of what cannot be undone: "},
    {"SELECT 'entry '||a.seq FROM entry a JOIN entry b ON b.entry=a.reverses "
     "JOIN entry_leg l ON l.entry=a.seq WHERE a.kind='reversal' AND NOT EXISTS(SELECT 1 "
     "FROM entry_leg o WHERE o.entry=b.seq AND o.account=l.account AND o.amount=-l.amount) "
     "LIMIT 1",
     "a reversal whose legs are not those of what it undoes: "},
    {"SELECT 'entry '||seq FROM entry WHERE kind IN "
     "('refund','round_off','transfer','adjustment','reversal','write_off','price_settlement') "
     "AND (by IS NULL OR second IS NULL OR by=second) LIMIT 1",
     "not signed by two people: "},
    {"SELECT 'entry '||a.seq FROM entry a JOIN entry b ON b.entry=a.reverses "
     "WHERE a.kind='reversal' AND a.second=b.by LIMIT 1",
     "who took or paid the money agreed that it is undone: "},
    {"SELECT 'account '||account FROM account JOIN ledger_account "
     "ON ledger_account.name='household:'||account.account WHERE closed<>'' AND balance<>0 LIMIT 1",
     "closed with money left: "},
    {GATEHOUSE_AFTER_SEAL("e.month<=p.month"), "booked into a month that was closed: "},
    {GATEHOUSE_AFTER_SEAL("e.kind='charge' AND EXISTS(SELECT 1 FROM line l WHERE l.line=e.line "
                          "AND l.scope<=p.month)"),
     "a charge on a line of a closed month, where a correction belongs: "},
    {"SELECT 'period '||period_file.month||', file '||name FROM period_file JOIN period "
     "ON period.month=period_file.month LEFT JOIN event_body ON event_body.seq=period.event "
     "WHERE instr(coalesce(body,''),lower(hex(sha256)))=0 LIMIT 1",
     "sealed with another hash than the log says: "},
    {"SELECT 'period '||month||', file '||name FROM period_file WHERE NOT EXISTS(SELECT 1 "
     "FROM period_content c WHERE c.month=period_file.month AND c.name=period_file.name) LIMIT 1",
     "a sealed file is missing: "},
    {"SELECT 'period '||json_extract(b.body,'$.period')" GATEHOUSE_CLOSED GATEHOUSE_CLOSED_WHERE
     "NOT EXISTS(SELECT 1 FROM period p WHERE p.month=json_extract(b.body,'$.period') AND "
     "p.event=a.seq AND p.state='closed' AND p.closed_by=json_extract(b.body,'$.by')) LIMIT 1",
     "closed by the log, and not so in the books: "},
    {"SELECT 'period '||json_extract(b.body,'$.period')||', file '||"
     "json_extract(f.value,'$.name')" GATEHOUSE_CLOSED
     ",json_each(b.body,'$.files') f" GATEHOUSE_CLOSED_WHERE
     "NOT EXISTS(SELECT 1 FROM period_file p WHERE p.month=json_extract(b.body,'$.period') AND "
     "p.name=json_extract(f.value,'$.name')) LIMIT 1",
     "named by the log, and not in the books: "},
    {"SELECT 'entry '||seq FROM entry WHERE kind='topup' AND (method='cash')<>EXISTS(SELECT 1 "
     "FROM entry_leg l JOIN ledger_account b ON b.id=l.account WHERE l.entry=entry.seq AND "
     "b.name LIKE 'cash:%') LIMIT 1",
     "paid in another way than its legs say: "},
    {"SELECT 'entry '||e.seq FROM entry e JOIN event_body b ON b.seq=e.event WHERE "
     "json_extract(b.body,'$.entry')<>e.entry OR (json_extract(b.body,'$.entry')=e.entry AND "
     "coalesce(json_extract(b.body,'$.method'),e.method) IS NOT e.method) LIMIT 1",
     "not as the log tells it: "},
};

}  // namespace

std::string act_fault(sql::Connection& connection) {
    for (const Rule& rule : kRules) {
        sql::Query query(connection, rule.rows);
        if (query.step()) return rule.words + query.maybe_text().value_or("?");
    }
    return {};
}

}  // namespace gatehouse::store
