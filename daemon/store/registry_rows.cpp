#include "daemon/store/registry_rows.hpp"
#include "daemon/store/row_proof.hpp"

#include <algorithm>
#include <unordered_map>

namespace gatehouse::store {
namespace {

using sql::Connection;
using sql::Query;

// A word that our own schema holds and nobody knows: the file was changed by another program.
template <class T>
T known(std::optional<T> value, const std::string& word) {
    if (!value) throw StoreError(StoreError::Kind::corrupt, "registry: unknown word " + word);
    return *value;
}

std::string upsert(const std::string& table, const std::string& key,
                   const std::vector<std::string>& columns) {
    std::string names = key, marks = "?", sets;
    for (const auto& column : columns) {
        names += "," + column;
        marks += ",?";
        sets += (sets.empty() ? "" : ",") + column + "=excluded." + column;
    }
    return "INSERT INTO " + table + "(" + names + ") VALUES(" + marks + ") ON CONFLICT(" + key +
           ") DO UPDATE SET " + sets;
}

std::optional<std::string> date_text(const std::optional<LocalDate>& date) {
    if (!date) return std::nullopt;
    return format_date(*date);
}

std::optional<LocalDate> date_column(Query& query) {
    const auto text = query.maybe_text();
    if (!text) return std::nullopt;
    return known(parse_date(*text), *text);
}

std::optional<int> maybe_int(Query& query) {
    const auto value = query.maybe_i64();
    if (!value) return std::nullopt;
    return static_cast<int>(*value);
}

std::optional<Fen> maybe_fen(Query& query) {
    const auto value = query.maybe_i64();
    if (!value) return std::nullopt;
    return Fen{*value};
}

std::optional<bool> maybe_flag(Query& query) {
    const auto value = query.maybe_i64();
    if (!value) return std::nullopt;
    return *value != 0;
}

std::optional<std::int64_t> count(const std::optional<Fen>& amount) {
    if (!amount) return std::nullopt;
    return amount->count;
}

void put_list(Connection& connection, const char* file, const std::string& id,
              const std::string& field, const std::vector<std::string>& values) {
    {
        Query query(connection, "DELETE FROM registry_list WHERE file=? AND id=? AND field=?");
        query << file << id << field;
        query.run();
    }
    int n = 0;
    for (const auto& value : values) {
        Query query(connection, "INSERT INTO registry_list VALUES(?,?,?,?,?)");
        query << file << id << field << n++ << value;
        query.run();
    }
}

template <class T>
std::vector<std::string> words_of(const std::vector<T>& values) {
    std::vector<std::string> words;
    for (const T& value : values) words.emplace_back(to_string(value));
    return words;
}

using Fields = std::unordered_map<std::string, std::vector<std::string>>;  // "id\nfield"

Fields load_lists(Connection& connection, const char* file) {
    Fields fields;
    Query query(connection,
                "SELECT id, field, value FROM registry_list WHERE file=? ORDER BY id, field, n");
    query << file;
    while (query.step()) {
        std::string id = query.text();
        const std::string field = query.text();
        fields[id + "\n" + field].push_back(query.text());
    }
    return fields;
}

std::vector<std::string> list(const Fields& fields, const std::string& id, const char* field) {
    const auto found = fields.find(id + "\n" + field);
    return found == fields.end() ? std::vector<std::string>{} : found->second;
}

void put(Connection& c, std::int64_t place, const Unit& row) {
    static const std::string sql =
        upsert("unit", "unit",
               {"place", "label", "building", "entrance", "floor", "use", "status", "area_centi",
                "persons", "walk_order", "collector", "care"});
    Query q(c, sql.c_str());
    q << row.unit << place << row.label << row.building << row.entrance << row.floor
      << to_string(row.use) << to_string(row.status) << row.area_centi << row.persons
      << row.walk_order << row.collector << row.care;
    q.run();
}

std::vector<Unit> load_units(Connection& c) {
    std::vector<Unit> rows;
    Query q(c,
            "SELECT unit,label,building,entrance,floor,use,status,area_centi,persons,walk_order,"
            "collector,care FROM unit ORDER BY place, id");
    while (q.step()) {
        Unit row;
        row.unit = q.text();
        row.label = q.text();
        row.building = q.text();
        row.entrance = q.text();
        row.floor = q.text();
        const std::string use = q.text(), status = q.text();
        row.use = known(parse_use(use), use);
        row.status = known(parse_unit_status(status), status);
        row.area_centi = q.maybe_i64();
        row.persons = maybe_int(q);
        row.walk_order = maybe_int(q);
        row.collector = q.text();
        row.care = q.text();
        rows.push_back(std::move(row));
    }
    return rows;
}

void put(Connection& c, std::int64_t place, const Person& row) {
    static const std::string sql =
        upsert("person", "person",
               {"place", "kind", "name", "phone", "unit", "company", "valid_from", "valid_to"});
    Query q(c, sql.c_str());
    q << row.person << place << to_string(row.kind) << row.name << row.phone << row.unit
      << row.company << date_text(row.valid_from) << date_text(row.valid_to);
    q.run();
}

std::vector<Person> load_people(Connection& c) {
    std::vector<Person> rows;
    Query q(c,
            "SELECT person,kind,name,phone,unit,company,valid_from,valid_to FROM person "
            "ORDER BY place, id");
    while (q.step()) {
        Person row;
        row.person = q.text();
        const std::string kind = q.text();
        row.kind = known(parse_person_kind(kind), kind);
        row.name = q.text();
        row.phone = q.text();
        row.unit = q.text();
        row.company = q.text();
        row.valid_from = date_column(q);
        row.valid_to = date_column(q);
        rows.push_back(std::move(row));
    }
    return rows;
}

void put(Connection& c, std::int64_t place, const Meter& row) {
    static const std::string sql = upsert(
        "meter", "meter",
        {"place",      "unit",    "service",    "role",       "parent",           "bus",
         "address",    "channel", "profile",    "serial",     "nameplate",        "location",
         "multiplier", "offset",  "rated_amps", "rated_flow", "opening_register", "opening_at",
         "account",    "tariff",  "status"});
    Query q(c, sql.c_str());
    q << row.meter << place;
    q.text_or_null(row.unit);
    q << to_string(row.service) << to_string(row.role) << row.parent << row.bus << row.address
      << row.channel << row.profile << row.serial << row.nameplate << row.location << row.multiplier
      << row.offset << row.rated_amps << row.rated_flow << row.opening_register << row.opening_at;
    q.text_or_null(row.account);
    q << row.tariff << to_string(row.status);
    q.run();
}

std::vector<Meter> load_meters(Connection& c) {
    std::vector<Meter> rows;
    Query q(c,
            "SELECT meter,unit,service,role,parent,bus,address,channel,profile,serial,nameplate,"
            "location,multiplier,offset,rated_amps,rated_flow,opening_register,opening_at,account,"
            "tariff,status FROM meter ORDER BY place, id");
    while (q.step()) {
        Meter row;
        row.meter = q.text();
        row.unit = q.maybe_text().value_or("");
        const std::string service = q.text(), role = q.text();
        row.service = known(parse_service(service), service);
        row.role = known(parse_meter_role(role), role);
        row.parent = q.text();
        row.bus = q.text();
        row.address = maybe_int(q);
        row.channel = maybe_int(q);
        row.profile = q.text();
        row.serial = q.text();
        row.nameplate = q.text();
        row.location = q.text();
        row.multiplier = q.text();
        row.offset = q.maybe_text();
        row.rated_amps = q.maybe_text();
        row.rated_flow = q.maybe_text();
        row.opening_register = q.maybe_text();
        row.opening_at = q.maybe_text();
        row.account = q.maybe_text().value_or("");
        row.tariff = q.text();
        const std::string status = q.text();
        row.status = known(parse_meter_status(status), status);
        rows.push_back(std::move(row));
    }
    return rows;
}

void put(Connection& c, std::int64_t place, const Account& row) {
    static const std::string sql =
        upsert("account", "account",
               {"place", "unit", "service", "holder", "billing", "opening_balance", "live_from",
                "low_balance", "critical_balance", "overdraft", "hoarding_cap", "low_days",
                "critical_days", "chase", "old_number", "closed"});
    {
        Query q(c, sql.c_str());
        q << row.account << place;
        q.text_or_null(row.unit);
        q << to_string(row.service) << row.holder << to_string(row.billing)
          << count(row.opening_balance) << date_text(row.live_from) << count(row.low_balance)
          << count(row.critical_balance) << count(row.overdraft) << count(row.hoarding_cap)
          << row.low_days << row.critical_days << row.chase << row.old_number << row.closed;
        q.run();
    }
    {
        Query q(
            c, "DELETE FROM account_tariff WHERE account=(SELECT id FROM account WHERE account=?)");
        q << row.account;
        q.run();
    }
    const std::size_t rows = std::max(row.tariffs.size(), row.opening_ladder.size());
    for (std::size_t n = 0; n < rows; ++n) {
        Query q(c, "INSERT INTO account_tariff SELECT id,?,?,? FROM account WHERE account=?");
        q << static_cast<std::int64_t>(n);
        q.text_or_null(n < row.tariffs.size() ? row.tariffs[n] : "");
        if (n < row.opening_ladder.size()) {
            q << row.opening_ladder[n].count;
        } else {
            q << std::nullopt;
        }
        q << row.account;
        q.run();
    }
}

std::vector<Account> load_accounts(Connection& c) {
    std::vector<Account> rows;
    std::unordered_map<std::int64_t, std::size_t> by_id;
    Query q(c,
            "SELECT id,account,unit,service,holder,billing,opening_balance,live_from,low_balance,"
            "critical_balance,overdraft,hoarding_cap,low_days,critical_days,chase,old_number,"
            "closed FROM account ORDER BY place, id");
    while (q.step()) {
        by_id.emplace(q.i64(), rows.size());
        Account row;
        row.account = q.text();
        row.unit = q.maybe_text().value_or("");
        const std::string service = q.text();
        row.service = known(parse_account_service(service), service);
        row.holder = q.text();
        const std::string billing = q.text();
        row.billing = known(parse_billing(billing), billing);
        row.opening_balance = maybe_fen(q);
        row.live_from = date_column(q);
        row.low_balance = maybe_fen(q);
        row.critical_balance = maybe_fen(q);
        row.overdraft = maybe_fen(q);
        row.hoarding_cap = maybe_fen(q);
        row.low_days = maybe_int(q);
        row.critical_days = maybe_int(q);
        row.chase = maybe_flag(q);
        row.old_number = q.text();
        row.closed = q.text();
        rows.push_back(std::move(row));
    }
    Query t(c, "SELECT account,tariff,opening_ladder FROM account_tariff ORDER BY account, n");
    while (t.step()) {
        Account& row = rows[by_id.at(t.i64())];
        if (auto tariff = t.maybe_text()) row.tariffs.push_back(std::move(*tariff));
        if (const auto used = t.maybe_i64()) row.opening_ladder.push_back(Milli{*used});
    }
    return rows;
}

void put(Connection& c, std::int64_t place, const Tariff& row) {
    static const std::string sql = upsert("tariff", "tariff", {"place", "service", "source"});
    {
        Query q(c, sql.c_str());
        q << row.tariff << place << to_string(row.service) << row.source;
        q.run();
    }
    {
        Query q(c, "DELETE FROM registry_list WHERE file='tariffs' AND id=?");
        q << row.tariff;
        q.run();
    }
    put_list(c, "tariffs", row.tariff, "uses", words_of(row.uses));
    for (const auto& [language, label] : row.label) {
        put_list(c, "tariffs", row.tariff, "label." + language, {label});
    }
    for (const auto& version : row.versions) put_tariff_version(c, row.tariff, version);
}

std::vector<Tariff> load_tariffs(Connection& c) {
    std::vector<Tariff> rows;
    const Fields lists = load_lists(c, "tariffs");
    {
        Query q(c, "SELECT tariff,service,source FROM tariff ORDER BY place, id");
        while (q.step()) {
            Tariff row;
            row.tariff = q.text();
            const std::string service = q.text();
            row.service = known(parse_service(service), service);
            row.source = q.text();
            for (const auto& use : list(lists, row.tariff, "uses")) {
                row.uses.push_back(known(parse_use(use), use));
            }
            const std::string prefix = row.tariff + "\nlabel.";
            for (const auto& [key, values] : lists) {
                if (key.compare(0, prefix.size(), prefix) == 0) {
                    row.label[key.substr(prefix.size())] = values.front();
                }
            }
            rows.push_back(std::move(row));
        }
    }
    std::unordered_map<std::string, Tariff*> by_id;
    for (auto& row : rows) by_id.emplace(row.tariff, &row);
    load_tariff_versions(c, by_id);
    return rows;
}

void put(Connection& c, std::int64_t place, const Pool& row) {
    static const std::string sql = upsert("pool", "pool", {"place", "service", "share", "tariff"});
    Query q(c, sql.c_str());
    q << row.pool << place << to_string(row.service) << to_string(row.share) << row.tariff;
    q.run();
    put_list(c, "pools", row.pool, "main", row.main);
    put_list(c, "pools", row.pool, "subs", row.subs);
    put_list(c, "pools", row.pool, "members", row.members);
}

std::vector<Pool> load_pools(Connection& c) {
    std::vector<Pool> rows;
    const Fields lists = load_lists(c, "pools");
    Query q(c, "SELECT pool,service,share,tariff FROM pool ORDER BY place, id");
    while (q.step()) {
        Pool row;
        row.pool = q.text();
        const std::string service = q.text(), share = q.text();
        row.service = known(parse_service(service), service);
        row.share = known(parse_pool_share(share), share);
        row.tariff = q.text();
        row.main = list(lists, row.pool, "main");
        row.subs = list(lists, row.pool, "subs");
        row.members = list(lists, row.pool, "members");
        rows.push_back(std::move(row));
    }
    return rows;
}

void put(Connection& c, std::int64_t place, const CalendarDay& row) {
    static const std::string sql = upsert("calendar", "date", {"place", "kind", "name"});
    Query q(c, sql.c_str());
    q << format_date(row.date) << place << to_string(row.kind) << row.name;
    q.run();
}

std::vector<CalendarDay> load_calendar(Connection& c) {
    std::vector<CalendarDay> rows;
    Query q(c, "SELECT date,kind,name FROM calendar ORDER BY place, date");
    while (q.step()) {
        CalendarDay row;
        row.date = *date_column(q);
        const std::string kind = q.text();
        row.kind = known(parse_day_kind(kind), kind);
        row.name = q.text();
        rows.push_back(std::move(row));
    }
    return rows;
}

void put(Connection& c, std::int64_t place, const Staff& row) {
    static const std::string sql = upsert(
        "staff", "staff", {"place", "name", "department", "phone", "active_to", "cash_limit"});
    Query q(c, sql.c_str());
    q << row.staff << place << row.name << row.department << row.phone << date_text(row.active_to)
      << count(row.cash_limit);
    q.run();
    put_list(c, "staff", row.staff, "roles", words_of(row.roles));
    put_list(c, "staff", row.staff, "cards", row.cards);
}

std::vector<Staff> load_staff(Connection& c) {
    std::vector<Staff> rows;
    const Fields lists = load_lists(c, "staff");
    Query q(c,
            "SELECT staff,name,department,phone,active_to,cash_limit FROM staff "
            "ORDER BY place, id");
    while (q.step()) {
        Staff row;
        row.staff = q.text();
        row.name = q.text();
        row.department = q.text();
        row.phone = q.text();
        row.active_to = date_column(q);
        row.cash_limit = maybe_fen(q);
        for (const auto& role : list(lists, row.staff, "roles")) {
            row.roles.push_back(known(parse_staff_role(role), role));
        }
        row.cards = list(lists, row.staff, "cards");
        rows.push_back(std::move(row));
    }
    return rows;
}

void put(Connection& c, std::int64_t place, const Key& row) {
    static const std::string sql =
        upsert("key_", "key",
               {"place", "class", "cabinet", "slot", "location", "tag", "count", "max_hold_ms",
                "curfew", "needs_second", "seal_no", "set_", "label"});
    Query q(c, sql.c_str());
    q << row.key << place << to_string(row.class_) << row.cabinet << row.slot << row.place
      << row.tag << row.count << row.max_hold_ms << row.curfew << row.needs_second << row.seal_no
      << row.set << row.label;
    q.run();
    put_list(c, "keys", row.key, "opens", row.opens);
}

std::vector<Key> load_keys(Connection& c) {
    std::vector<Key> rows;
    const Fields lists = load_lists(c, "keys");
    Query q(c,
            "SELECT key,class,cabinet,slot,location,tag,count,max_hold_ms,curfew,needs_second,"
            "seal_no,set_,label FROM key_ ORDER BY place, id");
    while (q.step()) {
        Key row;
        row.key = q.text();
        const std::string class_ = q.text();
        row.class_ = known(parse_key_class(class_), class_);
        row.cabinet = q.text();
        row.slot = maybe_int(q);
        row.place = q.text();
        row.tag = q.text();
        row.count = maybe_int(q);
        row.max_hold_ms = q.maybe_i64();
        row.curfew = q.text();
        row.needs_second = maybe_flag(q);
        row.seal_no = q.text();
        row.set = q.text();
        row.label = q.text();
        row.opens = list(lists, row.key, "opens");
        rows.push_back(std::move(row));
    }
    return rows;
}

// Writes the rows that are new, differ, or stand at another place in their file.
template <class Row, class Id>
void put_changed(Connection& c, const std::vector<Row>& wanted, const std::vector<Row>& stored,
                 Id id, std::initializer_list<const char*> proven = {}) {
    std::unordered_map<std::string, std::size_t> known_rows;
    for (std::size_t i = 0; i < stored.size(); ++i) known_rows.emplace(id(stored[i]), i);
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        const auto found = known_rows.find(id(wanted[i]));
        if (found != known_rows.end() && found->second == i && stored[i] == wanted[i]) continue;
        put(c, static_cast<std::int64_t>(i), wanted[i]);
        for (const char* table : proven) prove(c, table, id(wanted[i]));
    }
}

}  // namespace

Registry load_registry(Connection& c) {
    Registry registry;
    registry.units = load_units(c);
    registry.people = load_people(c);
    registry.meters = load_meters(c);
    registry.accounts = load_accounts(c);
    registry.tariffs = load_tariffs(c);
    registry.pools = load_pools(c);
    registry.calendar = load_calendar(c);
    registry.staff = load_staff(c);
    registry.keys = load_keys(c);
    return registry;
}

void put_registry(Connection& c, const Registry& wanted, const Registry& stored) {
    put_changed(c, wanted.units, stored.units, [](const Unit& row) { return row.unit; }, {"unit"});
    put_changed(c, wanted.people, stored.people, [](const Person& row) { return row.person; });
    put_changed(c, wanted.tariffs, stored.tariffs, [](const Tariff& row) { return row.tariff; },
                {"tariff", "tariff_version", "tariff_tier", "tariff_band", "tariff_fixed"});
    put_changed(c, wanted.accounts, stored.accounts, [](const Account& row) { return row.account; },
                {"account", "account_tariff"});
    put_changed(c, wanted.meters, stored.meters, [](const Meter& row) { return row.meter; },
                {"meter"});
    put_changed(c, wanted.pools, stored.pools, [](const Pool& row) { return row.pool; }, {"pool"});
    put_changed(c, wanted.calendar, stored.calendar,
                [](const CalendarDay& row) { return format_date(row.date); }, {"calendar"});
    put_changed(c, wanted.staff, stored.staff, [](const Staff& row) { return row.staff; });
    put_changed(c, wanted.keys, stored.keys, [](const Key& row) { return row.key; });
}

}  // namespace gatehouse::store
