// Erasure of a person: the words about them are overwritten, the chains go on without. Who was
// erased stands in the books and once more in a list beside them, synced before the books are,
// since the copy of yesterday that somebody restores tomorrow knows nothing of it.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "daemon/core/base64.hpp"
#include "daemon/core/ledger.hpp"
#include "daemon/core/text.hpp"
#include "daemon/store/reader_impl.hpp"
#include "daemon/store/row_proof.hpp"
#include "daemon/store/store_impl.hpp"

namespace gatehouse {

using sql::Query;

namespace {

constexpr const char* kErased = "erased";

std::string list_path(const std::string& database) {
    return database + ".erased";
}

[[noreturn]] void fail(const std::string& path, const char* what) {
    throw StoreError(StoreError::Kind::io, "the list of erased people " + path + " cannot be " +
                                               what + ": " + std::strerror(errno));
}

// One line, and its end: a line that a power cut tore has none and does not count.
void append_line(const std::string& path, const std::string& line) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) fail(path, "opened");
    // What is torn before it must not swallow this one.
    char last = '\n';
    const off_t size = ::lseek(fd, 0, SEEK_END);
    // What cannot be read may be torn: a line more is an empty one, which counts for nothing.
    if (size > 0 && ::pread(fd, &last, 1, size - 1) != 1) last = '\0';
    const std::string bytes = (last == '\n' ? "" : "\n") + line + "\n";
    const bool written =
        ::write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()) &&
        ::fsync(fd) == 0;
    ::close(fd);
    if (!written) fail(path, "written");
}

std::string line_of(const ErasureRow& row) {
    return row.person + " " + std::to_string(row.at) + " " + row.by + " " +
           (row.second.empty() ? "-" : row.second) + " " + base64_encode(row.reason);
}

// Nothing where the line is none of ours.
std::optional<ErasureRow> read_line(const std::string& line) {
    std::istringstream words(line);
    ErasureRow row;
    std::string reason;
    if (!(words >> row.person >> row.at >> row.by >> row.second >> reason)) return std::nullopt;
    const auto text = base64_decode(reason);
    if (!text) return std::nullopt;
    row.reason = *text;
    if (row.second == "-") row.second.clear();
    return row;
}

constexpr const char* kErasures =
    "SELECT person,by,second,reason,at_ms FROM erasure ORDER BY id DESC";

ErasureRow erasure_columns(Query& query) {
    ErasureRow row;
    row.person = query.text();
    row.by = query.text();
    row.second = query.text();
    row.reason = query.text();
    row.at = query.i64();
    return row;
}

std::vector<ErasureRow> erasures_in(sql::Connection& connection) {
    std::vector<ErasureRow> rows;
    Query query(connection, kErasures);
    while (query.step()) rows.push_back(erasure_columns(query));
    return rows;
}

// A time in which an account was a person's; the end is open where it still is.
struct Holding {
    std::string account, unit;
    std::int64_t id = 0;
    std::int64_t from_run = 0, to_run = 0;
    MonoMs from_mono_ms = 0, to_mono_ms = 0;

    [[nodiscard]] bool covers(std::int64_t run, MonoMs mono_ms) const {
        return std::pair(run, mono_ms) >= std::pair(from_run, from_mono_ms) &&
               std::pair(run, mono_ms) < std::pair(to_run, to_mono_ms);
    }
};

std::vector<Holding> holdings_of(sql::Connection& connection, const std::string& person) {
    constexpr std::int64_t kOpen = std::numeric_limits<std::int64_t>::max();
    std::vector<Holding> held;
    Query query(connection,
                "SELECT holder_history.account,account.account,account.unit,run,mono_ms,"
                "holder_history.holder "
                "FROM holder_history JOIN account ON account.id=holder_history.account "
                "WHERE holder_history.account IN "
                "(SELECT account FROM holder_history WHERE holder=?) "
                "ORDER BY holder_history.account,run,mono_ms");
    query << person;
    while (query.step()) {
        Holding row;
        row.id = query.i64();
        row.account = query.text();
        row.unit = query.text();
        row.from_run = query.i64();
        row.from_mono_ms = query.i64();
        row.to_run = kOpen;
        const bool theirs = query.text() == person;
        if (!held.empty() && held.back().id == row.id && held.back().to_run == kOpen) {
            held.back().to_run = row.from_run;
            held.back().to_mono_ms = row.from_mono_ms;
        }
        if (theirs) held.push_back(std::move(row));
    }
    return held;
}

template <class Take>
void each_covered(Query& query, const Holding& holding, Take take) {
    while (query.step()) {
        const std::uint64_t seq = query.u64();
        const std::int64_t run = query.i64();
        if (holding.covers(run, query.i64())) take(seq, query);
    }
}

// An account keeps its last holder when it is closed; the flat has another one from then on.
Holding until_closed(sql::Connection& connection, Holding holding) {
    Query query(connection,
                "SELECT run,mono_ms FROM event_about JOIN event ON event.seq=event_about.seq JOIN "
                "event_kind ON event_kind.id=event.kind WHERE about=? AND "
                "event_kind.name='account.closed'");
    query << "account:" + holding.account;
    while (query.step()) {
        const std::int64_t run = query.i64();
        const MonoMs mono_ms = query.i64();
        if (std::pair(run, mono_ms) >= std::pair(holding.to_run, holding.to_mono_ms)) continue;
        holding.to_run = run;
        holding.to_mono_ms = mono_ms;
    }
    return holding;
}

// What the office wrote of their flat while it was theirs: tickets, calls, hand-overs, documents.
void trace_unit(sql::Connection& connection, const Holding& holding, PersonTraces& traces) {
    if (holding.unit.empty()) return;
    {
        Query query(connection,
                    "SELECT 0,run,mono_ms,number FROM ticket JOIN ticket_move ON ticket_move.id="
                    "(SELECT min(id) FROM ticket_move WHERE ticket=number) JOIN event ON "
                    "event.seq=ticket_move.event WHERE unit=?");
        query << holding.unit;
        each_covered(query, holding,
                     [&](std::uint64_t, Query& row) { traces.tickets.push_back(row.text()); });
    }
    {
        Query query(connection,
                    "SELECT id,run,mono_ms FROM office_register JOIN event ON "
                    "event.seq=office_register.event WHERE unit=? AND "
                    "office_register.kind IN ('call','handover','document')");
        query << holding.unit;
        each_covered(query, holding, [&](std::uint64_t id, Query&) {
            traces.registers.push_back(static_cast<std::int64_t>(id));
        });
    }
    Query query(connection,
                "SELECT event.seq,run,mono_ms FROM event_about JOIN event ON "
                "event.seq=event_about.seq JOIN event_kind ON event_kind.id=event.kind JOIN "
                "event_body ON event_body.seq=event.seq WHERE about=? AND (event_kind.name IN "
                "('unit.handover','document.issued') OR (event_kind.name LIKE 'ticket.%' AND "
                "body LIKE '%\"reason\":%'))");
    query << "unit:" + holding.unit;
    each_covered(query, holding, [&](std::uint64_t at, Query&) { traces.events.push_back(at); });
}

// Why they took a key, in somebody's words, and what else a cabinet said of that; whenever it was.
void trace_keys(sql::Connection& connection, const std::string& person, PersonTraces& traces) {
    Query query(connection,
                "SELECT id FROM key_event WHERE coalesce(json_extract(body,'$.reason'),"
                "json_extract(body,'$.extra')) IS NOT NULL AND "
                "(json_extract(body,'$.person')=?1 OR json_extract(body,'$.to')=?1)");
    query << person;
    while (query.step()) traces.key_events.push_back(query.i64());
}

// A person as people.csv has them: who lives in a flat need not hold an account of it.
struct Resident {
    std::string name, phone, unit;
};

std::optional<Resident> resident_of(sql::Connection& connection, const std::string& person) {
    Query query(connection, "SELECT name,phone,unit FROM person WHERE person=?");
    query << person;
    if (!query.step()) return std::nullopt;
    Resident row;
    row.name = query.text();
    row.phone = query.text();
    row.unit = query.text();
    // A short number may be a seq or a figure, and one character of a name would find everybody.
    constexpr std::size_t kPhoneMin = 10;
    const bool plain = row.phone.find_first_not_of("0123456789+- ()") == std::string::npos;
    if (row.phone.size() < kPhoneMin || !plain) row.phone.clear();
    if (code_points(row.name).size() < 2) row.name.clear();
    return row;
}

// A number to call is one person's wherever it stands, but not as a part of a longer one, such as a
// bank's; a name is theirs where it is of their flat,
// or signs alone as the receiver of a document, a witness or a payer.
constexpr const char* kNamesThem =
    "((?1<>'' AND (' '||TEXT||' ') GLOB ('*[^0-9]'||?1||'[^0-9]*')) OR "
    "(?2<>'' AND UNIT=?3 AND ?3<>'' AND instr(TEXT,?2)>0))";
// Events that people wrote in. What the books are proved by is none of them.
#define GATEHOUSE_WRITTEN_IN                                                    \
    "(name LIKE 'ticket.%' OR name LIKE 'alert.%' OR name LIKE 'key.%' OR "     \
    "name LIKE 'cabinet.%' OR name LIKE 'entry.%' OR name LIKE 'account.%' OR " \
    "name IN ('unit.handover','document.issued','call.logged','round.made'))"

std::string names_them(const std::string& text, const std::string& unit) {
    std::string condition = kNamesThem;
    for (const auto& [word, value] : {std::pair{std::string("TEXT"), text}, {"UNIT", unit}})
        for (std::size_t at = 0; (at = condition.find(word, at)) != std::string::npos;
             at += value.size())
            condition.replace(at, word.size(), value);
    return condition;
}

void trace_names(sql::Connection& connection, const Resident& resident, PersonTraces& traces) {
    const auto each = [&](const std::string& sql, auto take) {
        Query query(connection, connection.prepare(sql.c_str()));
        query << resident.phone << resident.name << resident.unit;
        while (query.step()) take(query);
    };
    each(
        "SELECT DISTINCT number FROM ticket LEFT JOIN ticket_move ON ticket_move.ticket=number "
        "WHERE " +
            names_them("(body||coalesce(note,''))", "unit"),
        [&](Query& row) { traces.tickets.push_back(row.text()); });
    each("SELECT id FROM office_register WHERE kind IN ('call','handover','document') AND (" +
             names_them("body", "unit") +
             " OR (?2<>'' AND (json_extract(body,'$.receiver')=?2 OR "
             "json_extract(body,'$.witness')=?2)))",
         [&](Query& row) { traces.registers.push_back(row.i64()); });
    each(
        "SELECT entry_text.entry FROM entry_text JOIN entry ON entry.seq=entry_text.entry LEFT "
        "JOIN account "
        "ON account.id=entry.account WHERE " +
            names_them("(payer||note||reference)", "account.unit") + " OR (?2<>'' AND payer=?2)",
        [&](Query& row) { traces.entries.push_back(row.u64()); });
    each("SELECT alert_ack.seq FROM alert_ack JOIN alert ON alert.n=alert_ack.alert WHERE " +
             names_them("(note||result)", "alert.unit"),
         [&](Query& row) { traces.acks.push_back(row.u64()); });
    each("SELECT id FROM key_event WHERE " + names_them("body", "''") +
             " OR (?2<>'' AND json_extract(body,'$.by')=?2)",
         [&](Query& row) { traces.key_events.push_back(row.i64()); });
    each("SELECT key FROM idempotency WHERE " + names_them("reply", "''"),
         [&](Query& row) { traces.keys.push_back(row.text()); });
    each(
        "SELECT b.seq FROM event_body b JOIN event e ON e.seq=b.seq JOIN event_kind k ON "
        "k.id=e.kind WHERE " GATEHOUSE_WRITTEN_IN " AND " +
            names_them("b.body",
                       "(SELECT ?3 FROM event_about a WHERE a.about='unit:'||?3 AND a.seq=b.seq)"),
        [&](Query& row) { traces.events.push_back(row.u64()); });
}

// What an alert's acknowledgement said was published once and stands in the log.
void trace_results(sql::Connection& connection, PersonTraces& traces) {
    for (const std::uint64_t ack : traces.acks) {
        Query query(connection,
                    "SELECT 1 FROM event_body WHERE seq=? AND instr(body,'\"result\":')>0");
        query << ack;
        if (query.step()) traces.events.push_back(ack);
    }
}

void keep_once(PersonTraces& traces) {
    const auto once = [](auto& list) {
        std::sort(list.begin(), list.end());
        list.erase(std::unique(list.begin(), list.end()), list.end());
    };
    once(traces.entries);
    once(traces.events);
    once(traces.acks);
    once(traces.keys);
    once(traces.tickets);
    once(traces.registers);
    once(traces.key_events);
}

}  // namespace

std::vector<ErasureRow> Store::load_erasures() {
    return erasures_in(impl_->connection);
}

std::vector<ErasureRow> Store::listed_erasures() {
    std::vector<ErasureRow> rows;
    std::ifstream file(list_path(impl_->connection.path()));
    std::string line;
    while (std::getline(file, line)) {
        if (file.eof()) break;  // without an end
        if (auto row = read_line(line)) rows.push_back(std::move(*row));
    }
    return rows;
}

void Store::overwriting(bool on) {
    impl_->connection.exec(on ? "PRAGMA secure_delete=ON" : "PRAGMA secure_delete=OFF");
}

bool Store::empty_log() {
    Query query(impl_->connection, "PRAGMA wal_checkpoint(TRUNCATE)");
    return query.step() && query.i64() == 0;
}

void Store::erase(const ErasureRow& row, const PersonTraces& traces) {
    impl_->need_transaction();
    bool listed = false;
    for (const ErasureRow& known : listed_erasures()) listed = listed || known.person == row.person;
    if (!listed) append_line(list_path(impl_->connection.path()), line_of(row));
    for (const std::uint64_t entry : traces.entries) {
        Query query(impl_->connection, "DELETE FROM entry_text WHERE entry=?");
        query << entry;
        query.run();
        store::prove(impl_->connection, "entry_text", std::to_string(entry));
    }
    for (const std::uint64_t event : traces.events) remove_event_body(event, kErased);
    for (const std::uint64_t ack : traces.acks) {
        Query query(impl_->connection, "UPDATE alert_ack SET note='',result='' WHERE seq=?");
        query << ack;
        query.run();
        Query payload(impl_->connection,
                      "UPDATE alert SET payload=json_remove(payload,'$.result') WHERE "
                      "n=(SELECT alert FROM alert_ack WHERE seq=?)");
        payload << ack;
        payload.run();
    }
    KeyBooks& books = impl_->key_books;
    for (const std::string& number : traces.tickets) books.remove_ticket_words(number);
    for (const std::int64_t id : traces.registers) books.remove_register_words(id);
    for (const std::int64_t id : traces.key_events) books.remove_key_event_words(id);
    // Asked again with the same key it is still the same act, and no longer told in words.
    for (const std::string& key : traces.keys) {
        Query query(impl_->connection,
                    "UPDATE idempotency SET reply='{\"removed\":\"erased\"}' WHERE key=?");
        query << key;
        query.run();
    }
    Query query(impl_->connection,
                "INSERT OR IGNORE INTO erasure(person,by,second,reason,at_ms) VALUES(?,?,?,?,?)");
    query << row.person << row.by << row.second << row.reason << row.at;
    query.run();
}

std::size_t Store::drop_views(const std::function<bool(const Stamp&)>& old, UtcMs before,
                              std::size_t at_most) {
    impl_->need_transaction();
    struct Look {
        std::int64_t id;
        std::string unit;
        Stamp at;
    };
    std::vector<Look> looks;
    {
        Query query(impl_->connection,
                    "SELECT id,subject,run,mono_ms,skew_ms FROM view_log ORDER BY id");
        while (looks.size() < at_most && query.step()) {
            Look look{query.i64(), query.text(), {}};
            look.at = store::stamp_columns(query, impl_->bases);
            if (!old(look.at)) break;
            looks.push_back(std::move(look));
        }
    }
    if (looks.empty()) return 0;
    for (const Look& look : looks) {
        std::vector<std::uint64_t> events;
        {
            Query query(impl_->connection,
                        "SELECT event.seq FROM event_about JOIN event ON event.seq=event_about.seq "
                        "JOIN event_kind ON event_kind.id=event.kind JOIN event_body ON "
                        "event_body.seq=event.seq WHERE about=?1 AND event_kind.name LIKE 'file.%' "
                        "AND (event.run,event.mono_ms)<=(?2,?3)");
            query << "unit:" + look.unit << look.at.run << look.at.mono_ms;
            while (query.step()) events.push_back(query.u64());
        }
        for (const std::uint64_t event : events) remove_event_body(event, "retention");
    }
    {
        Query query(impl_->connection, "INSERT INTO maintenance(one,views_up_to) VALUES(1,?)");
        query << looks.back().id;
        query.run();
    }
    {
        Query query(impl_->connection, "DELETE FROM view_log WHERE id<=?");
        query << looks.back().id;
        query.run();
    }
    impl_->connection.exec("DELETE FROM maintenance");
    Query query(impl_->connection, "DELETE FROM file_access WHERE asked_at_ms<?");
    query << before;
    query.run();
    return looks.size();
}

std::vector<ErasureRow> StoreReader::erasures() {
    const Impl::Moment moment(*impl_);
    return erasures_in(impl_->connection);
}

PersonTraces StoreReader::traces(const std::string& person) {
    const Impl::Moment moment(*impl_);
    PersonTraces traces;
    trace_keys(impl_->connection, person, traces);
    for (const Holding& holding : holdings_of(impl_->connection, person)) {
        trace_unit(impl_->connection, until_closed(impl_->connection, holding), traces);
        for (const std::uint64_t seq : impl_->entries_of(book::household(holding.account), 0)) {
            Query query(impl_->connection,
                        "SELECT seq,run,mono_ms FROM entry JOIN entry_text ON "
                        "entry_text.entry=entry.seq WHERE seq=?");
            query << seq;
            each_covered(query, holding,
                         [&](std::uint64_t at, Query&) { traces.entries.push_back(at); });
        }
        {
            // Alerts say in their own words why, and no person wrote them.
            Query query(impl_->connection,
                        "SELECT event.seq,run,mono_ms FROM event_about JOIN event ON "
                        "event.seq=event_about.seq JOIN event_kind ON event_kind.id=event.kind "
                        "JOIN event_body ON event_body.seq=event.seq WHERE about=? AND "
                        "event_kind.name NOT LIKE 'alert.%' AND body LIKE '%\"reason\":%'");
            query << "account:" + holding.account;
            each_covered(query, holding,
                         [&](std::uint64_t at, Query&) { traces.events.push_back(at); });
        }
        {
            Query query(impl_->connection,
                        "SELECT alert_ack.seq,run,mono_ms FROM alert JOIN alert_ack ON "
                        "alert_ack.alert=alert.n JOIN event ON event.seq=alert_ack.seq WHERE "
                        "account=? AND (note<>'' OR result<>'')");
            query << holding.account;
            each_covered(query, holding,
                         [&](std::uint64_t at, Query&) { traces.acks.push_back(at); });
        }
        Query query(impl_->connection,
                    "SELECT 0,run,mono_ms,key FROM idempotency WHERE "
                    "reply LIKE '%\"account\":\"'||?||'\"%'");
        query << holding.account;
        each_covered(query, holding,
                     [&](std::uint64_t, Query& row) { traces.keys.push_back(row.text()); });
    }
    if (const auto resident = resident_of(impl_->connection, person))
        trace_names(impl_->connection, *resident, traces);
    trace_results(impl_->connection, traces);
    keep_once(traces);
    return traces;
}

}  // namespace gatehouse
