#include "daemon/store/account_books.hpp"

#include <algorithm>

#include "daemon/store/decode.hpp"
#include "daemon/store/registry_rows.hpp"

namespace gatehouse {

using sql::Query;

namespace {

LocalDate date_of(const std::string& text) {
    const auto date = parse_date(text);
    if (!date) throw StoreError(StoreError::Kind::corrupt, "not a date: " + text);
    return *date;
}

#define GATEHOUSE_TERMS_COLUMNS                                                              \
    "meter.meter,from_reading,account.account,meter_terms.tariff,persons,total,run,mono_ms," \
    "skew_ms,stands_at_ms FROM meter_terms JOIN meter ON meter.id=meter_terms.meter "        \
    "JOIN account ON account.id=meter_terms.account "

TermsRow terms_columns(Query& query, const std::unordered_map<std::int64_t, std::int64_t>& bases) {
    TermsRow row;
    row.meter = query.text();
    row.from = query.u64();
    row.account = query.text();
    row.tariff = query.text();
    if (const auto persons = query.maybe_i64()) row.persons = static_cast<int>(*persons);
    row.total = Milli{query.i64()};
    row.at = store::stamp_columns(query, bases);
    row.stands_at = query.maybe_i64();
    return row;
}

#define GATEHOUSE_REMAP_COLUMNS                                                            \
    "event,meter.meter,from_ms,through_step,through_reading,account.account,remap.tariff," \
    "remap.persons FROM remap JOIN meter ON meter.id=remap.meter "                         \
    "JOIN account ON account.id=remap.account "

std::vector<RemapRow> remap_columns(Query& query) {
    std::vector<RemapRow> rows;
    while (query.step()) {
        RemapRow row;
        row.event = query.u64();
        row.meter = query.text();
        row.from = query.i64();
        row.through_step = query.u64();
        row.through_reading = query.u64();
        row.account = query.text();
        row.tariff = query.text();
        row.persons = static_cast<int>(query.i64());
        rows.push_back(std::move(row));
    }
    return rows;
}

// The newest row that stands in the place of that reading; itself where none does.
std::uint64_t newest_of(sql::Connection& connection, std::uint64_t reading,
                        std::uint64_t up_to = INT64_MAX) {
    for (;;) {
        Query query(connection, "SELECT max(seq) FROM reading WHERE supersedes=? AND seq<=?");
        query << reading << up_to;
        const auto next = query.step() ? query.maybe_i64() : std::nullopt;
        if (!next || static_cast<std::uint64_t>(*next) <= reading) return reading;
        reading = static_cast<std::uint64_t>(*next);
    }
}

// What stands now where that reading stood; nothing where nobody corrected it.
std::optional<Milli> corrected_total(sql::Connection& connection, std::uint64_t reading) {
    const std::uint64_t newest = newest_of(connection, reading);
    if (newest == reading) return std::nullopt;
    Query query(connection, "SELECT total FROM reading WHERE seq=?");
    query << newest;
    return query.step() ? std::optional(Milli{query.i64()}) : std::nullopt;
}

}  // namespace

std::vector<std::string> AccountBooks::accounts() {
    std::vector<std::string> rows;
    Query query(connection_,
                "SELECT account FROM account WHERE id IN (SELECT account FROM mark) ORDER BY id");
    while (query.step()) rows.push_back(query.text());
    return rows;
}

std::vector<std::uint64_t> AccountBooks::newest_steps(const std::string& account) {
    std::vector<std::uint64_t> rows;
    Query query(connection_,
                "SELECT step FROM mark WHERE account=(SELECT id FROM account WHERE account=?)");
    query << account;
    while (query.step()) rows.push_back(query.u64());
    return rows;
}

std::vector<std::pair<std::string, std::uint64_t>> AccountBooks::newest_steps_of_meter(
    const std::string& meter) {
    std::vector<std::pair<std::string, std::uint64_t>> rows;
    Query query(connection_,
                "SELECT account.account,step FROM mark JOIN account ON account.id=mark.account "
                "WHERE mark.meter=(SELECT id FROM meter WHERE meter=?)");
    query << meter;
    while (query.step()) {
        std::string account = query.text();
        rows.emplace_back(std::move(account), query.u64());
    }
    return rows;
}

std::vector<RemapRow> AccountBooks::remaps(const std::string& account) {
    Query query(
        connection_,
        "SELECT " GATEHOUSE_REMAP_COLUMNS
        "WHERE remap.meter IN (SELECT meter FROM mark WHERE account=(SELECT id FROM account "
        "WHERE account=?1)) OR remap.meter IN (SELECT meter FROM remap WHERE "
        "account=(SELECT id FROM account WHERE account=?1)) ORDER BY event");
    query << account;
    return remap_columns(query);
}

std::vector<RemapRow> AccountBooks::remaps_of_meter(const std::string& meter) {
    Query query(connection_,
                "SELECT " GATEHOUSE_REMAP_COLUMNS
                "WHERE remap.meter=(SELECT id FROM meter WHERE meter=?) ORDER BY event");
    query << meter;
    return remap_columns(query);
}

std::optional<StepRow> AccountBooks::step(std::uint64_t number) {
    StepRow row;
    std::int64_t meter = 0;
    {
        Query query(connection_,
                    "SELECT step,prev,mark_step.meter,meter.meter,reading,begins FROM mark_step "
                    "JOIN meter ON meter.id=mark_step.meter WHERE step=?");
        query << number;
        if (!query.step()) return std::nullopt;
        row.step = query.u64();
        row.prev = query.u64();
        meter = query.i64();
        row.meter = query.text();
        row.reading = query.u64();
        row.begins = query.flag();
    }
    if (row.begins) {
        // The reading may be an interval's, which retention drops; the terms have all of it.
        Query query(connection_,
                    "SELECT tariff,persons,total,run,mono_ms,skew_ms,stands_at_ms FROM meter_terms "
                    "WHERE meter=? AND from_reading=?");
        query << meter << row.reading;
        if (!query.step()) return std::nullopt;
        row.tariff = query.text();
        row.persons = static_cast<int>(query.maybe_i64().value_or(0));
        row.total = Milli{query.i64()};
        row.at = store::stamp_columns(query, bases_);
        row.stands_at = query.maybe_i64();
        // The terms are never rewritten; a figure that was corrected since is where both sides of
        // it stand.
        if (const auto total = corrected_total(connection_, row.reading)) row.total = *total;
        return row;
    }
    const std::uint64_t newest = newest_of(connection_, row.reading);
    Query query(connection_,
                "SELECT total,run,mono_ms,skew_ms,stands_at_ms FROM reading WHERE seq=?");
    query << newest;
    if (!query.step()) return std::nullopt;
    row.total = Milli{query.i64()};
    row.at = store::stamp_columns(query, bases_);
    row.stands_at = query.maybe_i64();
    return row;
}

std::vector<AccountBooks::ChargedMeter> AccountBooks::charged_meters(const std::string& account) {
    std::vector<ChargedMeter> rows;
    // Of a reading that retention dropped the terms that began with it have the time.
    Query marks(connection_,
                "SELECT meter.meter,coalesce(r.run,t.run),coalesce(r.mono_ms,t.mono_ms),"
                "coalesce(r.skew_ms,t.skew_ms),coalesce(r.stands_at_ms,t.stands_at_ms) FROM mark "
                "JOIN meter ON meter.id=mark.meter LEFT JOIN reading r ON r.seq=mark.reading "
                "LEFT JOIN meter_terms t ON t.meter=mark.meter AND t.from_reading=mark.reading "
                "WHERE mark.account=(SELECT id FROM account WHERE account=?) "
                "AND coalesce(r.run,t.run) IS NOT NULL ORDER BY meter.meter");
    marks << account;
    while (marks.step()) {
        ChargedMeter row;
        row.meter = marks.text();
        row.at = store::stamp_columns(marks, bases_);
        row.stands_at = marks.maybe_i64();
        rows.push_back(std::move(row));
    }
    for (ChargedMeter& row : rows) {
        Query query(connection_, "SELECT " GATEHOUSE_TERMS_COLUMNS
                                 "WHERE meter_terms.meter=(SELECT id FROM meter WHERE meter=?) "
                                 "ORDER BY from_reading");
        query << row.meter;
        while (query.step()) row.terms.push_back(terms_columns(query, bases_));
    }
    return rows;
}

std::vector<TermsRow> AccountBooks::newest_terms() {
    std::vector<TermsRow> rows;
    Query query(connection_,
                "SELECT " GATEHOUSE_TERMS_COLUMNS
                "WHERE stands_at_ms IS NOT NULL AND from_reading=(SELECT "
                "max(from_reading) FROM meter_terms t WHERE t.meter=meter_terms.meter)");
    while (query.step()) rows.push_back(terms_columns(query, bases_));
    for (TermsRow& row : rows)
        if (const auto total = corrected_total(connection_, row.from)) row.total = *total;
    return rows;
}

std::vector<EdgeFigureRow> AccountBooks::edge_figures(const std::string& account,
                                                      std::uint64_t after_reading) {
    std::vector<EdgeFigureRow> rows;
    Query query(connection_,
                "SELECT meter.meter,reading,at_ms,event,total FROM edge_figure "
                "JOIN meter ON meter.id=edge_figure.meter "
                "WHERE edge_figure.account=(SELECT id FROM account WHERE account.account=?) "
                "AND reading>? "
                "ORDER BY reading,at_ms,event");
    query << account << after_reading;
    while (query.step()) {
        EdgeFigureRow row;
        row.account = account;
        row.meter = query.text();
        row.reading = query.u64();
        row.at = query.i64();
        row.event = query.u64();
        row.total = Milli{query.i64()};
        const bool newer =
            !rows.empty() && rows.back().reading == row.reading && rows.back().at == row.at;
        if (newer) rows.pop_back();
        rows.push_back(std::move(row));
    }
    return rows;
}

std::optional<Milli> AccountBooks::hour(const std::string& meter, std::int64_t hour) {
    Query query(connection_,
                "SELECT total FROM meter_hour WHERE hour=? AND "
                "meter=(SELECT id FROM meter WHERE meter=?)");
    query << hour << meter;
    return query.step() ? std::optional(Milli{query.i64()}) : std::nullopt;
}

std::vector<LadderOpeningRow> AccountBooks::ladder_openings(const std::string& account) {
    std::vector<LadderOpeningRow> rows;
    Query query(connection_,
                "SELECT tariff,day,start,quantity FROM ladder_opening "
                "WHERE account=(SELECT id FROM account WHERE account=?) ORDER BY tariff");
    query << account;
    while (query.step()) {
        LadderOpeningRow row;
        row.account = account;
        row.tariff = query.text();
        row.day = date_of(query.text());
        row.start = date_of(query.text());
        row.quantity = Milli{query.i64()};
        rows.push_back(std::move(row));
    }
    return rows;
}

std::vector<MonthTariffRow> AccountBooks::months(const std::string& account) {
    std::vector<MonthTariffRow> rows;
    std::string month;
    for (;;) {
        {
            Query query(connection_, "SELECT min(month) FROM month_tariff WHERE month>?");
            query << month;
            const auto next = query.step() ? query.maybe_text() : std::nullopt;
            if (!next) return rows;
            month = *next;
        }
        Query query(connection_,
                    "SELECT tariff FROM month_tariff WHERE month=? AND "
                    "account=(SELECT id FROM account WHERE account=?) ORDER BY tariff");
        query << month << account;
        while (query.step()) rows.push_back({month, account, query.text()});
    }
}

std::vector<AccountBooks::LeftOut> AccountBooks::left_out(const std::string& account) {
    std::vector<LeftOut> rows;
    Query query(connection_,
                "SELECT tariff,valid_from,late_version.event,state FROM settling "
                "JOIN late_version ON late_version.event=settling.event "
                "WHERE settling.account=(SELECT id FROM account WHERE account=?)");
    query << account;
    while (query.step()) {
        LeftOut row;
        row.version.tariff = query.text();
        row.version.valid_from = date_of(query.text());
        row.version.event = query.u64();
        row.waiting = query.text() == "waiting";
        rows.push_back(std::move(row));
    }
    return rows;
}

bool AccountBooks::is_settling(const std::string& account) {
    Query query(connection_,
                "SELECT 1 FROM settling WHERE state='waiting' AND "
                "account=(SELECT id FROM account WHERE account=?) LIMIT 1");
    query << account;
    return query.step();
}

Settlement AccountBooks::settlement(const std::string& account) {
    Settlement settlement;
    std::string scope;
    for (;;) {
        {
            Query query(connection_, "SELECT min(scope) FROM line WHERE scope>?");
            query << scope;
            const auto next = query.step() ? query.maybe_text() : std::nullopt;
            if (!next) break;
            scope = *next;
        }
        Query query(connection_,
                    "SELECT line.service,scope,tariff,version,season,band,tier,price,quantity,"
                    "posted FROM line WHERE scope=? AND "
                    "account=(SELECT id FROM account WHERE account=?)");
        query << scope << account;
        while (query.step()) {
            LineKey key = store::line_key_columns(query);
            Line line;
            line.price = Price{query.i64()};
            line.quantity = Milli{query.i64()};
            line.posted = Fen{query.i64()};
            settlement.lines.emplace(std::move(key), line);
        }
    }
    Query counters(connection_,
                   "SELECT tariff,start,quantity FROM ladder_counter "
                   "WHERE account=(SELECT id FROM account WHERE account=?)");
    counters << account;
    while (counters.step()) {
        std::string tariff = counters.text();
        const LocalDate start = date_of(counters.text());
        settlement.counters[{std::move(tariff), start}] = Milli{counters.i64()};
    }
    Query rests(connection_,
                "SELECT tariff,quantity FROM step_total "
                "WHERE account=(SELECT id FROM account WHERE account=?)");
    rests << account;
    while (rests.step()) {
        std::string tariff = rests.text();
        settlement.rests[std::move(tariff)] = Milli{rests.i64()};
    }
    return settlement;
}

std::int64_t AccountBooks::line_id(const std::string& account, const LineKey& key) {
    Query query(connection_,
                "SELECT line FROM line WHERE scope=? AND "
                "account=(SELECT id FROM account WHERE account=?) AND service=? AND tariff=? "
                "AND version=? AND season=? AND band=? AND tier=?");
    query << key.scope << account << to_string(key.service) << key.tariff
          << format_date(key.version) << key.season << key.band << key.tier;
    return query.step() ? query.i64() : 0;
}

std::vector<LinePartRow> AccountBooks::parts(const std::string& account, const LineKey& line) {
    std::vector<LinePartRow> rows;
    Query query(connection_,
                "SELECT meter.meter,from_reading,to_reading,quantity FROM line_part "
                "JOIN meter ON meter.id=line_part.meter WHERE line=? "
                "ORDER BY to_reading,meter.meter");
    query << line_id(account, line);
    while (query.step()) {
        LinePartRow row;
        row.meter = query.text();
        row.from = query.u64();
        row.to = query.u64();
        row.quantity = Milli{query.i64()};
        rows.push_back(std::move(row));
    }
    return rows;
}

std::vector<MarkRow> AccountBooks::marks(const std::string& account) {
    std::vector<MarkRow> rows;
    Query query(connection_,
                "SELECT meter.meter,reading,total FROM mark JOIN meter ON meter.id=mark.meter "
                "WHERE mark.account=(SELECT id FROM account WHERE account=?)");
    query << account;
    while (query.step()) {
        MarkRow row;
        row.account = account;
        row.meter = query.text();
        row.reading = query.u64();
        row.total = Milli{query.i64()};
        rows.push_back(std::move(row));
    }
    return rows;
}

std::uint64_t AccountBooks::newest_row(std::uint64_t reading, std::uint64_t up_to) {
    return newest_of(connection_, reading, up_to);
}

Registry AccountBooks::registry() {
    return store::load_registry(connection_);
}

std::vector<RunRow> AccountBooks::runs() {
    return store::load_runs(connection_);
}

}  // namespace gatehouse
